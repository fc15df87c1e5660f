// Softmax of rows, T threads to a row, with elements that are not allowed; and back.

#define MINUS_INFINITY __int_as_float(0xff800000)

template <int T>
__device__ float group_max(float v) {
#pragma unroll
    for (int distance = 16; distance; distance /= 2) v = fmaxf(v, __shfl_xor_sync(ALL_LANES, v, distance));
    if (T > 32) {
        __shared__ float tops[T / 32];
        if (threadIdx.x % 32 == 0) tops[threadIdx.x / 32] = v;
        __syncthreads();
        for (int i = 0; i < T / 32; ++i) v = fmaxf(v, tops[i]);
        __syncthreads();
    }
    return v;
}

template <int T>
__device__ void forward(
    const float* x, const bool* allowed, float* p, int rows, int columns, int allowed_rows, float scale) {
    const int groups = BLOCK / T, lane = threadIdx.x % T;
    for (int r = blockIdx.x * groups + threadIdx.x / T; r < rows; r += gridDim.x * groups) {
        const float* row = x + r * columns;
        const bool* may = allowed ? allowed + r % allowed_rows * columns : nullptr;
        float top = MINUS_INFINITY, total = 0;
        for (int c = lane; c < columns; c += T)
            if (!may || may[c]) top = fmaxf(top, scale * row[c]);
        top = group_max<T>(top);
        for (int c = lane; c < columns; c += T)
            if (!may || may[c]) total += expf(scale * row[c] - top);
        total = group_sum<T>(total);
        for (int c = lane; c < columns; c += T)
            p[r * columns + c] = !may || may[c] ? expf(scale * row[c] - top) / total : 0;
    }
}

// p = softmax(scale x) of each row, 0 where not allowed; row r is allowed what row r % allowed_rows says. p may be x.
KERNEL softmax_forward(
    const float* x, const bool* allowed, float* p, int rows, int columns, int allowed_rows, float scale) {
    if (columns > 1024)
        forward<BLOCK>(x, allowed, p, rows, columns, allowed_rows, scale);
    else
        forward<32>(x, allowed, p, rows, columns, allowed_rows, scale);
}

template <int T>
__device__ void backward(const float* g, const float* p, float* dx, int rows, int columns, float scale) {
    const int groups = BLOCK / T, lane = threadIdx.x % T;
    for (int r = blockIdx.x * groups + threadIdx.x / T; r < rows; r += gridDim.x * groups) {
        const float *gradient = g + r * columns, *row = p + r * columns;
        float along = 0;
        for (int c = lane; c < columns; c += T) along += gradient[c] * row[c];
        along = group_sum<T>(along);
        for (int c = lane; c < columns; c += T) dx[r * columns + c] = scale * row[c] * (gradient[c] - along);
    }
}

// dx = scale p (g - sum of g p over the row); dx may be g.
KERNEL softmax_backward(const float* g, const float* p, float* dx, int rows, int columns, float scale) {
    if (columns > 1024)
        backward<BLOCK>(g, p, dx, rows, columns, scale);
    else
        backward<32>(g, p, dx, rows, columns, scale);
}
