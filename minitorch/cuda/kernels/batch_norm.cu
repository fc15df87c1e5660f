// Normalisation of each channel over all images, and back.

// Of the elements of channel_sums' run number `run`: how many they are for one channel.
__device__ __forceinline__ int count_in_run(int run, int runs, int images, int inner) {
    int size = images * inner, length = (size + runs - 1) / runs;
    return max(0, min(length, size - run * length));
}

// Of each run the sums (first half of partial) and the sums of squared distances from the mean of the run.
KERNEL batch_norm_moments(const float* x, float* partial, int images, int channels, int inner) {
    float* squares = partial + gridDim.y * channels;
    channel_sums<1>(images, channels, inner, partial, [&](int i, int channel, float* sums) { sums[0] += x[i]; });
    __syncthreads();
    float count = count_in_run(blockIdx.y, gridDim.y, images, inner);
    const float* run_sums = partial + blockIdx.y * channels;
    channel_sums<1>(images, channels, inner, squares, [&](int i, int channel, float* sums) {
        float d = x[i] - run_sums[channel] / count;
        sums[0] += d * d;
    });
}

// The mean and the variance of each channel, and the running mean and (unbiased) variance moved towards them by
// 1 - decay, unless they are null. Runs are put together as by Chan, Golub and LeVeque, 1979.
KERNEL batch_norm_statistics(
    const float* partial, float* mean, float* var, float* running_mean, float* running_var, int runs, int images,
    int channels, int inner, float decay) {
    double total = double(images) * inner;
    for (int c = FIRST; c < channels; c += STEP) {
        double sum = 0, squares = 0;
        for (int r = 0; r < runs; ++r) sum += partial[r * channels + c];
        double centre = sum / total;
        for (int r = 0; r < runs; ++r) {
            int count = count_in_run(r, runs, images, inner);
            if (count == 0) continue;
            double d = partial[r * channels + c] / double(count) - centre;
            squares += partial[(runs + r) * channels + c] + count * d * d;
        }
        mean[c] = centre;
        var[c] = squares / total;
        if (running_mean) {
            double unbiased = squares / (total > 1 ? total - 1 : 1);
            running_mean[c] = decay * running_mean[c] + (1 - decay) * float(centre);
            running_var[c] = decay * running_var[c] + (1 - decay) * float(unbiased);
        }
    }
}

// y = (x - mean) / sqrt(var + eps) gamma + beta
KERNEL batch_norm_apply(
    const float* x, const float* mean, const float* var, const float* gamma, const float* beta, float* y, int size,
    int channels, int inner, float eps) {
    for (int i = FIRST; i < size; i += STEP) {
        int c = i / inner % channels;
        y[i] = (x[i] - mean[c]) * rsqrtf(var[c] + eps) * gamma[c] + beta[c];
    }
}

// The sums of g z and of g for the gradients of gamma and beta, (2, runs, channels); z = (x - mean) / sqrt(var + eps).
KERNEL batch_norm_backward_sums(
    const float* g, const float* x, const float* mean, const float* var, float* partial, int images, int channels,
    int inner, float eps) {
    channel_sums<2>(images, channels, inner, partial, [&](int i, int c, float* sums) {
        sums[0] += g[i] * (x[i] - mean[c]) * rsqrtf(var[c] + eps);
        sums[1] += g[i];
    });
}

// dx = gamma / sqrt(var + eps) (g - (dbeta + z dgamma) / total); with total infinite, mean and var are constants.
KERNEL batch_norm_backward(
    const float* g, const float* x, const float* mean, const float* var, const float* gamma, const float* dgamma,
    const float* dbeta, float* dx, int size, int channels, int inner, float total, float eps) {
    for (int i = FIRST; i < size; i += STEP) {
        int c = i / inner % channels;
        float inverse = rsqrtf(var[c] + eps), z = (x[i] - mean[c]) * inverse;
        dx[i] = gamma[c] * inverse * (g[i] - (dbeta[c] + z * dgamma[c]) / total);
    }
}
