// Softmax and cross entropy of rows, T threads to a row.

__device__ __forceinline__ long long label_at(const void* t, int wide, int i) {
    return wide ? static_cast<const long long*>(t)[i] : static_cast<const int*>(t)[i];
}

// The largest of the T threads' values and the smallest index that it stands at.
template <int T>
__device__ void group_argmax(float& top, int& where) {
#pragma unroll
    for (int distance = 16; distance; distance /= 2) {
        float other = __shfl_xor_sync(ALL_LANES, top, distance);
        int at = __shfl_xor_sync(ALL_LANES, where, distance);
        if (other > top || (other == top && at < where)) top = other, where = at;
    }
    if (T > 32) {
        __shared__ float tops[T / 32];
        __shared__ int places[T / 32];
        if (threadIdx.x % 32 == 0) tops[threadIdx.x / 32] = top, places[threadIdx.x / 32] = where;
        __syncthreads();
        top = tops[0], where = places[0];
        for (int i = 1; i < T / 32; ++i)
            if (tops[i] > top || (tops[i] == top && places[i] < where)) top = tops[i], where = places[i];
        __syncthreads();
    }
}

template <int T>
__device__ void forward(
    const float* x, const void* t, int wide, float* p, float* losses, float* hits, int rows, int classes) {
    const int groups = BLOCK / T, lane = threadIdx.x % T;
    for (int r = blockIdx.x * groups + threadIdx.x / T; r < rows; r += gridDim.x * groups) {
        const float* row = x + r * classes;
        float top = row[0];
        int where = classes;
        for (int c = lane; c < classes; c += T)
            if (row[c] > top || where == classes) top = row[c], where = c;
        group_argmax<T>(top, where);
        float total = 0;
        for (int c = lane; c < classes; c += T) total += expf(row[c] - top);
        total = group_sum<T>(total);
        for (int c = lane; c < classes; c += T) p[r * classes + c] = expf(row[c] - top) / total;
        if (lane == 0) {
            long long label = label_at(t, wide, r);
            bool known = label >= 0 && label < classes;
            losses[r] = known ? logf(total) - (row[label] - top) : nanf("");
            hits[r] = label == where ? 1 : 0;
        }
    }
}

// p = softmax(x) for x (rows, classes), and for each row its loss and whether its largest element is at its label.
KERNEL cross_entropy_forward(
    const float* x, const void* t, int wide, float* p, float* losses, float* hits, int rows, int classes) {
    if (classes > 1024)
        forward<BLOCK>(x, t, wide, p, losses, hits, rows, classes);
    else
        forward<32>(x, t, wide, p, losses, hits, rows, classes);
}

// All of it in one launch, of one block with a thread to a row: for few classes and rows.
KERNEL cross_entropy_small(
    const float* x, const void* t, int wide, float* p, float* loss, double* totals, int rows, int classes) {
    double sum = 0, right = 0;
    for (int r = threadIdx.x; r < rows; r += BLOCK) {
        const float* row = x + r * classes;
        int where = 0;
#pragma unroll 1
        for (int c = 1; c < classes; ++c)
            if (row[c] > row[where]) where = c;
        float top = row[where], total = 0;
#pragma unroll 1
        for (int c = 0; c < classes; ++c) total += expf(row[c] - top);
#pragma unroll 1
        for (int c = 0; c < classes; ++c) p[r * classes + c] = expf(row[c] - top) / total;
        long long label = label_at(t, wide, r);
        sum += label >= 0 && label < classes ? logf(total) - (row[label] - top) : nanf("");
        right += label == where ? 1 : 0;
    }
    sum = group_sum<BLOCK>(sum);
    right = group_sum<BLOCK>(right);
    if (threadIdx.x == 0) {
        loss[0] = sum / rows;
        if (totals) totals[0] += sum, totals[1] += right, totals[2] += rows;
    }
}

// The share of rows of x (rows, classes) whose largest element is at their label; for one block, a warp to a row.
KERNEL row_accuracy(const float* x, const void* t, int wide, float* share, int rows, int classes) {
    float right = 0;
    for (int r = threadIdx.x / 32; r < rows; r += BLOCK / 32) {
        const float* row = x + r * classes;
        float top = row[0];
        int where = classes;
        for (int c = threadIdx.x % 32; c < classes; c += 32)
            if (row[c] > top || where == classes) top = row[c], where = c;
        group_argmax<32>(top, where);
        if (threadIdx.x % 32 == 0) right += label_at(t, wide, r) == where ? 1 : 0;
    }
    right = group_sum<BLOCK>(right);
    if (threadIdx.x == 0) share[0] = right / rows;
}

// The mean loss, and the sums added to totals, (loss, hits, rows), unless it is null. For one block.
KERNEL cross_entropy_totals(const float* losses, const float* hits, float* loss, double* totals, int rows) {
    double sum = 0, right = 0;
    for (int r = threadIdx.x; r < rows; r += BLOCK) sum += losses[r], right += hits[r];
    sum = group_sum<BLOCK>(sum);
    right = group_sum<BLOCK>(right);
    if (threadIdx.x == 0) {
        loss[0] = sum / rows;
        if (totals) totals[0] += sum, totals[1] += right, totals[2] += rows;
    }
}

// dx = (p - one_hot(t)) g / rows, for g of one element.
KERNEL cross_entropy_backward(
    const float* p, const void* t, int wide, const float* g, float* dx, int rows, int classes) {
    float scale = g[0] / rows;
    for (int i = FIRST; i < rows * classes; i += STEP)
        dx[i] = (p[i] - (label_at(t, wide, i / classes) == i % classes ? 1 : 0)) * scale;
}
