// The next batch of a data set in device memory: numbers scaled and shifted to float32, or whole numbers as they are.

// Where the samples of a batch are: that of row r is sample permutation[batch rows + r], none past the end.
struct Place {
    const long long* permutation;
    long long first;
    int samples;

    __device__ __forceinline__ long long operator()(int row) const {
        long long place = first + row;
        return place >= 0 && place < samples ? permutation[place] : -1;
    }
};

// Rows of `width` words as they are, samples `step` words apart; `none` in all words of a row that has no sample.
template <class W>
__device__ void copy_rows(const void* from, void* to, Place sample_of, int rows, int width, int step, W none) {
    const W* in = static_cast<const W*>(from);
    W* out = static_cast<W*>(to);
    for (int i = FIRST; i < rows * width; i += STEP) {
        long long sample = sample_of(i / width);
        out[i] = sample < 0 ? none : in[sample * step + i % width];
    }
}

// Labels of 4 or, if `wide`, of 8 bytes; all bits of those that are not there are 1: -1, or nan.
__device__ __forceinline__ void copy_labels(
    const void* labels, void* t, Place sample_of, int rows, int width, int step, int wide) {
    if (wide)
        copy_rows<uint64>(labels, t, sample_of, rows, width, step, ~0ull);
    else
        copy_rows<uint32>(labels, t, sample_of, rows, width, step, ~0u);
}

template <int V, class S>
__device__ void gather(
    const S* data, float* x, const float* scale, const float* shift, Place sample_of, int rows, int features,
    int channels) {
    int inner = features / channels;
    for (int i = FIRST * V; i < rows * features; i += STEP * V) {
        int f = i % features;
        long long sample = sample_of(i / features);
        Pack<float, V> out = {};
        if (sample >= 0) {
            Pack<S, V> in = load<V>(data + sample * features + f);
#pragma unroll
            for (int k = 0; k < V; ++k) {
                out.at[k] = in.at[k] * scale[f / inner] + shift[f / inner];
            }
        }
        store<V>(x + i, out);
    }
}

template <class S>
__device__ __forceinline__ void gather_both(
    const S* data, const void* labels, const long long* permutation, const long long* batch, float* x, void* t,
    const float* scale, const float* shift, int samples, int rows, int features, int channels, int width, int wide) {
    Place sample_of = {permutation, batch[0] * rows, samples};
    if (features / channels % 4 == 0 && aligned(data, x))
        gather<4>(data, x, scale, shift, sample_of, rows, features, channels);
    else
        gather<1>(data, x, scale, shift, sample_of, rows, features, channels);
    copy_labels(labels, t, sample_of, rows, width, width, wide);
}

// Row r of x and t: a sample, scaled and shifted, and its labels; 0 and -1 past the end of the permutation.
KERNEL gather_uint8(
    const unsigned char* data, const void* labels, const long long* permutation, const long long* batch, float* x,
    void* t, const float* scale, const float* shift, int samples, int rows, int features, int channels, int width,
    int wide) {
    gather_both(
        data, labels, permutation, batch, x, t, scale, shift, samples, rows, features, channels, width, wide);
}

KERNEL gather_float32(
    const float* data, const void* labels, const long long* permutation, const long long* batch, float* x, void* t,
    const float* scale, const float* shift, int samples, int rows, int features, int channels, int width, int wide) {
    gather_both(
        data, labels, permutation, batch, x, t, scale, shift, samples, rows, features, channels, width, wide);
}

// The same of whole numbers of 4 or, if `wide_data`, of 8 bytes, which stay as they are. Samples are `step` numbers apart,
// and their labels `label_step`: 1 where they are the windows of a sequence.
KERNEL gather_ids(
    const void* data, const void* labels, const long long* permutation, const long long* batch, void* x, void* t,
    int samples, int rows, int features, int wide_data, int step, int width, int wide, int label_step) {
    Place sample_of = {permutation, batch[0] * rows, samples};
    if (wide_data)
        copy_rows<uint64>(data, x, sample_of, rows, features, step, 0);
    else
        copy_rows<uint32>(data, x, sample_of, rows, features, step, 0);
    copy_labels(labels, t, sample_of, rows, width, label_step, wide);
}
