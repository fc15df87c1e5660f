// The second stage of sums over channels.

// out (sums, channels) from partial (sums, runs, channels).
KERNEL add_partials(const float* partial, float* out, int sums, int runs, int channels) {
    for (int i = FIRST; i < sums * channels; i += STEP) {
        const float* from = partial + i / channels * runs * channels + i % channels;
        float sum = 0;
        for (int r = 0; r < runs; ++r) sum += from[r * channels];
        out[i] = sum;
    }
}
