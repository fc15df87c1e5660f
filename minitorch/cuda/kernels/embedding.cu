// Rows added up by number.

// out[i] = the sum of the rows g[order[j]] over all j with ids[j] == i, for ids in ascending order. A block takes a
// stretch of 32 columns (blockIdx.y) of those runs of equal ids that begin at its places (blockIdx.x).
KERNEL segment_sums(
    const float* g, const long long* order, const long long* ids, float* out, int count, int rows, int width) {
    int column = blockIdx.y * 32 + threadIdx.x % 32;
    if (column >= width) return;
    for (int j = blockIdx.x * (BLOCK / 32) + threadIdx.x / 32; j < count; j += gridDim.x * (BLOCK / 32)) {
        long long id = ids[j];
        if ((j > 0 && ids[j - 1] == id) || id < 0 || id >= rows) continue;
        float sum = 0;
        for (int k = j; k < count && ids[k] == id; ++k) sum += g[order[k] * width + column];
        out[id * width + column] = sum;
    }
}
