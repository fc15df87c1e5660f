// Pixels under a window as columns of a matrix, and their sums back.

// Where in the columns the element is that belongs to place k of all places (channel, i, j), image n, and a position:
// (images, places, positions) if by_image, else (places, images, positions).
__device__ __forceinline__ int in_columns(
    int n, int k, int position, int images, int places, int positions, int by_image) {
    return (by_image ? n * places + k : k * images + n) * positions + position;
}

KERNEL gather_columns(
    const float* x, float* columns, const __grid_constant__ Window w, int images, int channels, int by_image) {
    int positions = w.rows * w.columns, area = w.kernel_h * w.kernel_w, places = channels * area;
    for (int e = FIRST; e < images * places * positions; e += STEP) {
        int outer = e / positions, position = e % positions;
        int n = by_image ? outer / places : outer % images, k = by_image ? outer % places : outer / images;
        int i = k % area / w.kernel_w, j = k % w.kernel_w;
        int y = position / w.columns * w.stride_h - w.pad_h + i * w.dilation_h;
        int v = position % w.columns * w.stride_w - w.pad_w + j * w.dilation_w;
        bool inside = y >= 0 && y < w.height && v >= 0 && v < w.width;
        columns[e] = inside ? x[((n * channels + k / area) * w.height + y) * w.width + v] : 0;
    }
}

// x: for each pixel the sum of all elements of the columns that were taken from it.
KERNEL sum_columns(
    const float* columns, float* x, const __grid_constant__ Window w, int images, int channels, int by_image) {
    int positions = w.rows * w.columns, area = w.kernel_h * w.kernel_w, places = channels * area;
    int pixels = w.height * w.width;
    for (int p = FIRST; p < images * channels * pixels; p += STEP) {
        int pixel = p % pixels, n = p / pixels / channels, channel = p / pixels % channels;
        float sum = 0;
        over_windows(w, pixel / w.width, pixel % w.width, [&](int i, int j, int position) {
            int k = channel * area + i * w.kernel_w + j;
            sum += columns[in_columns(n, k, position, images, places, positions, by_image)];
        });
        x[p] = sum;
    }
}
