// A bias and an activation in one pass, and back.

enum { NONE, RELU, SIGMOID, TANH, GELU };  // as ACTIVATIONS in Python

__device__ __forceinline__ float activate(float z, int act) {
    switch (act) {
        case RELU: return z < 0 ? 0 : z;
        case SIGMOID: return 0.5f * tanhf(0.5f * z) + 0.5f;
        case TANH: return tanhf(z);
        case GELU: return z * (0.5f * erff(z * 0.70710678f) + 0.5f);
        default: return z;
    }
}

// The derivative; of GELU at its input, of the others at what they returned.
__device__ __forceinline__ float slope(float s, int act) {
    switch (act) {
        case RELU: return s > 0 ? 1 : 0;
        case SIGMOID: return s * (1 - s);
        case TANH: return 1 - s * s;
        case GELU: return 0.5f * erff(s * 0.70710678f) + 0.5f + s * 0.39894228f * expf(-0.5f * s * s);
        default: return 1;
    }
}

__device__ __forceinline__ float bias_at(const float* b, int i, int channels, int inner) {
    return b ? b[i / inner % channels] : 0;
}

template <int V>
__device__ void forward(const float* x, const float* b, float* y, int size, int channels, int inner, int act) {
    for (int i = FIRST * V; i < size; i += STEP * V) {
        Pack<float, V> v = load<V>(x + i);
#pragma unroll
        for (int k = 0; k < V; ++k) v.at[k] = activate(v.at[k] + bias_at(b, i + k, channels, inner), act);
        store<V>(y + i, v);
    }
}

// y = act(x + b), for x and y (N, channels, inner) and b (channels,) or null; y may be x.
KERNEL activation_forward(const float* x, const float* b, float* y, int size, int channels, int inner, int act) {
    if (size % 4 == 0 && aligned(x, y))
        forward<4>(x, b, y, size, channels, inner, act);
    else
        forward<1>(x, b, y, size, channels, inner, act);
}

template <int V>
__device__ void backward(
    const float* g, const float* saved, const float* b, float* dx, int size, int channels, int inner, int act) {
    for (int i = FIRST * V; i < size; i += STEP * V) {
        Pack<float, V> d = load<V>(g + i), s = load<V>(saved + i);
#pragma unroll
        for (int k = 0; k < V; ++k)
            d.at[k] *= slope(act == GELU ? s.at[k] + bias_at(b, i + k, channels, inner) : s.at[k], act);
        store<V>(dx + i, d);
    }
}

// dx = g act'; saved is y, but x for GELU, which alone needs b. dx may be g.
KERNEL activation_backward(
    const float* g, const float* saved, const float* b, float* dx, int size, int channels, int inner, int act) {
    if (size % 4 == 0 && aligned(g, saved, dx))
        backward<4>(g, saved, b, dx, size, channels, inner, act);
    else
        backward<1>(g, saved, b, dx, size, channels, inner, act);
}

// The same, with the sums of dx for the gradient of b, (1, runs, channels). With act NONE, saved and dx may be null.
KERNEL activation_backward_bias(
    const float* g, const float* saved, const float* b, float* dx, float* partial, int images, int channels,
    int inner, int act) {
    channel_sums<1>(images, channels, inner, partial, [&](int i, int channel, float* sums) {
        float d = g[i];
        if (act != NONE) d *= slope(act == GELU && b ? saved[i] + b[channel] : saved[i], act);
        if (dx) dx[i] = d;
        sums[0] += d;
    });
}
