// What is elementwise in one step of a GRU. The gates r, z, n of each row stand side by side.

__device__ __forceinline__ float sigmoid(float z) {
    return 0.5f * tanhf(0.5f * z) + 0.5f;
}

// from_h += b; then r = sigmoid(a + from_h), z likewise, n = tanh(a + r from_h) go to gates; y = (1 - z) n + z h.
KERNEL gru_cell_forward(
    const float* a, float* from_h, const float* b, const float* h, float* gates, float* y, int batch, int hidden) {
    for (int e = FIRST; e < batch * hidden; e += STEP) {
        int j = e % hidden, at = e / hidden * 3 * hidden + j;
        float inner = from_h[at + 2 * hidden] + b[j + 2 * hidden];
        float r = sigmoid(a[at] + from_h[at] + b[j]);
        float z = sigmoid(a[at + hidden] + from_h[at + hidden] + b[j + hidden]);
        float n = tanhf(a[at + 2 * hidden] + r * inner);
        gates[at] = r, gates[at + hidden] = z, gates[at + 2 * hidden] = n;
        from_h[at + 2 * hidden] = inner;
        y[e] = n + z * (h[e] - n);
    }
}

// The gradients da of a, d of h @ W + b, and g z, what of g goes to h beside the product.
KERNEL gru_cell_backward(
    const float* g, const float* gates, const float* from_h, const float* h, float* da, float* d, float* dh, int batch,
    int hidden) {
    for (int e = FIRST; e < batch * hidden; e += STEP) {
        int at = e / hidden * 3 * hidden + e % hidden;
        float r = gates[at], z = gates[at + hidden], n = gates[at + 2 * hidden];
        float dn = g[e] * (1 - z) * (1 - n * n);
        float dr = dn * from_h[at + 2 * hidden] * r * (1 - r), dz = g[e] * (h[e] - n) * z * (1 - z);
        da[at] = d[at] = dr;
        da[at + hidden] = d[at + hidden] = dz;
        da[at + 2 * hidden] = dn;
        d[at + 2 * hidden] = dn * r;
        dh[e] = g[e] * z;
    }
}
