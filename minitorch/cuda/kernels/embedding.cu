// Rows added up by number.

// out[i] = the sum of the rows g[j] over all j with number i, in the order of j; 0 where there is none. Keys are
// (number << 32 | j) in ascending order. A block takes a stretch of 32 columns (blockIdx.y) of those runs of equal
// numbers that begin at its places (blockIdx.x), and of the rows of `out` that no run is for. Numbers of no row, negative
// ones among them, which are the largest here, go nowhere.
KERNEL segment_sums(const float* g, const uint64* keys, float* out, int count, int rows, int width) {
    int column = blockIdx.y * 32 + threadIdx.x % 32;
    if (column >= width) return;
    for (int j = blockIdx.x * (BLOCK / 32) + threadIdx.x / 32; j <= count; j += gridDim.x * (BLOCK / 32)) {
        long long before = j > 0 ? (long long)(keys[j - 1] >> 32) : -1;
        long long id = j < count ? (long long)(keys[j] >> 32) : rows;
        if (before == id) continue;
        for (long long i = before + 1; i < id && i < rows; ++i) out[i * width + column] = 0;
        if (id >= rows) continue;
        float sum = 0;
        for (int k = j; k < count && (long long)(keys[k] >> 32) == id; ++k) sum += g[int(keys[k]) * width + column];
        out[id * width + column] = sum;
    }
}
