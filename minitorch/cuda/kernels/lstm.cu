// What is elementwise in one step of an LSTM. The gates f, i, o, u of each row stand side by side.

__device__ __forceinline__ float sigmoid(float z) {
    return 0.5f * tanhf(0.5f * z) + 0.5f;
}

// gates += a, then sigmoid of f, i, o and tanh of u; y, (2, batch, hidden), is h = o tanh(c) and c = f before + i u.
KERNEL lstm_cell_forward(
    const float* a, float* gates, const float* before, float* y, float* tanh_c, int batch, int hidden) {
    int size = batch * hidden;
    for (int e = FIRST; e < size; e += STEP) {
        int at = e / hidden * 4 * hidden + e % hidden;
        float f = sigmoid(gates[at] + a[at]);
        float i = sigmoid(gates[at + hidden] + a[at + hidden]);
        float o = sigmoid(gates[at + 2 * hidden] + a[at + 2 * hidden]);
        float u = tanhf(gates[at + 3 * hidden] + a[at + 3 * hidden]);
        float c = f * before[e] + i * u, t = tanhf(c);
        gates[at] = f, gates[at + hidden] = i, gates[at + 2 * hidden] = o, gates[at + 3 * hidden] = u;
        y[e] = o * t;
        y[size + e] = c;
        tanh_c[e] = t;
    }
}

// The gradients d of the gates before their activations, and of the cell state before, which may be the second half of g.
KERNEL lstm_cell_backward(
    const float* g, const float* gates, const float* tanh_c, const float* before, float* d, float* dbefore, int batch,
    int hidden) {
    int size = batch * hidden;
    for (int e = FIRST; e < size; e += STEP) {
        int at = e / hidden * 4 * hidden + e % hidden;
        float f = gates[at], i = gates[at + hidden], o = gates[at + 2 * hidden], u = gates[at + 3 * hidden];
        float t = tanh_c[e], dc = g[e] * o * (1 - t * t) + g[size + e];
        d[at] = dc * before[e] * f * (1 - f);
        d[at + hidden] = dc * u * i * (1 - i);
        d[at + 2 * hidden] = g[e] * t * o * (1 - o);
        d[at + 3 * hidden] = dc * i * (1 - u * u);
        dbefore[e] = dc * f;
    }
}
