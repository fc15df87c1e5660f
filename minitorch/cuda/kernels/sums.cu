// The second stage of sums over channels.

// first (channels,) and second (channels,), unless it is null, from partial (1 or 2, runs, channels).
KERNEL add_partials(const float* partial, float* first, float* second, int runs, int channels) {
    for (int i = FIRST; i < (second ? 2 : 1) * channels; i += STEP) {
        const float* from = partial + i / channels * runs * channels + i % channels;
        float sum = 0;
        for (int r = 0; r < runs; ++r) sum += from[r * channels];
        (i < channels ? first : second)[i % channels] = sum;
    }
}
