// Normalisation of each row, T threads to a row, and back.

template <int T>
__device__ void forward(
    const float* x, const float* gamma, const float* beta, float* y, float* mean, float* inverse, int rows,
    int columns, float eps) {
    const int groups = BLOCK / T, lane = threadIdx.x % T;
    for (int r = blockIdx.x * groups + threadIdx.x / T; r < rows; r += gridDim.x * groups) {
        const float* row = x + r * columns;
        float sum = 0, squares = 0;
        for (int c = lane; c < columns; c += T) sum += row[c];
        float centre = group_sum<T>(sum) / columns;
        for (int c = lane; c < columns; c += T) squares += (row[c] - centre) * (row[c] - centre);
        float scale = 1 / sqrtf(group_sum<T>(squares) / columns + eps);
        for (int c = lane; c < columns; c += T) {
            float z = (row[c] - centre) * scale;
            y[r * columns + c] = gamma ? z * gamma[c] + beta[c] : z;
        }
        if (lane == 0) mean[r] = centre, inverse[r] = scale;
    }
}

// y = z gamma + beta, z = (x - mean) inverse, with the mean and 1 / sqrt(variance + eps) of each row; or y = z.
KERNEL layer_norm_forward(
    const float* x, const float* gamma, const float* beta, float* y, float* mean, float* inverse, int rows,
    int columns, float eps) {
    if (columns > 1024)
        forward<BLOCK>(x, gamma, beta, y, mean, inverse, rows, columns, eps);
    else
        forward<32>(x, gamma, beta, y, mean, inverse, rows, columns, eps);
}

template <int T>
__device__ void backward(
    const float* g, const float* x, const float* gamma, const float* mean, const float* inverse, float* dx, int rows,
    int columns) {
    const int groups = BLOCK / T, lane = threadIdx.x % T;
    for (int r = blockIdx.x * groups + threadIdx.x / T; r < rows; r += gridDim.x * groups) {
        const float *row = x + r * columns, *gradient = g + r * columns;
        float centre = mean[r], scale = inverse[r], plain = 0, along = 0;
        for (int c = lane; c < columns; c += T) {
            float d = gamma ? gradient[c] * gamma[c] : gradient[c];
            plain += d;
            along += d * (row[c] - centre) * scale;
        }
        plain = group_sum<T>(plain) / columns;
        along = group_sum<T>(along) / columns;
        for (int c = lane; c < columns; c += T) {
            float d = gamma ? gradient[c] * gamma[c] : gradient[c];
            dx[r * columns + c] = scale * (d - plain - (row[c] - centre) * scale * along);
        }
    }
}

// dx = inverse (d - mean(d) - z mean(d z)) over each row, for d = g gamma.
KERNEL layer_norm_backward(
    const float* g, const float* x, const float* gamma, const float* mean, const float* inverse, float* dx, int rows,
    int columns) {
    if (columns > 1024)
        backward<BLOCK>(g, x, gamma, mean, inverse, dx, rows, columns);
    else
        backward<32>(g, x, gamma, mean, inverse, dx, rows, columns);
}

// The sums of g z and of g for the gradients of gamma and beta, (2, runs, columns).
KERNEL layer_norm_backward_sums(
    const float* g, const float* x, const float* mean, const float* inverse, float* partial, int rows, int columns) {
    channel_sums<2>(rows, columns, 1, partial, [&](int i, int c, float* sums) {
        int r = i / columns;
        sums[0] += g[i] * (x[i] - mean[r]) * inverse[r];
        sums[1] += g[i];
    });
}
