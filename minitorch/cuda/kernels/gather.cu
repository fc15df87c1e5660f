// The next batch of a data set in device memory, numbers scaled and shifted to float32.

template <int V, class S>
__device__ void gather(
    const S* data, const void* labels, int wide, const long long* permutation, const long long* batch, float* x,
    void* t, const float* scale, const float* shift, int samples, int rows, int features, int channels) {
    int inner = features / channels;
    for (int i = FIRST * V; i < rows * features; i += STEP * V) {
        int r = i / features, f = i % features;
        long long place = batch[0] * rows + r;
        bool known = place >= 0 && place < samples;
        long long sample = known ? permutation[place] : 0;
        Pack<float, V> out = {};
        if (known) {
            Pack<S, V> in = load<V>(data + sample * features + f);
#pragma unroll
            for (int k = 0; k < V; ++k) {
                out.at[k] = in.at[k] * scale[f / inner] + shift[f / inner];
            }
        }
        store<V>(x + i, out);
        if (f == 0) {
            if (wide)
                static_cast<long long*>(t)[r] = known ? static_cast<const long long*>(labels)[sample] : -1;
            else
                static_cast<int*>(t)[r] = known ? static_cast<const int*>(labels)[sample] : -1;
        }
    }
}

// Row r of x and t: sample permutation[batch rows + r], and its label; 0 and -1 past the end of the permutation.
KERNEL gather_uint8(
    const unsigned char* data, const void* labels, int wide, const long long* permutation, const long long* batch,
    float* x, void* t, const float* scale, const float* shift, int samples, int rows, int features, int channels) {
    if (features / channels % 4 == 0 && aligned(data, x))
        gather<4>(data, labels, wide, permutation, batch, x, t, scale, shift, samples, rows, features, channels);
    else
        gather<1>(data, labels, wide, permutation, batch, x, t, scale, shift, samples, rows, features, channels);
}

KERNEL gather_float32(
    const float* data, const void* labels, int wide, const long long* permutation, const long long* batch, float* x,
    void* t, const float* scale, const float* shift, int samples, int rows, int features, int channels) {
    if (features / channels % 4 == 0 && aligned(data, x))
        gather<4>(data, labels, wide, permutation, batch, x, t, scale, shift, samples, rows, features, channels);
    else
        gather<1>(data, labels, wide, permutation, batch, x, t, scale, shift, samples, rows, features, channels);
}
