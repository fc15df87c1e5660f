// The largest element and the mean under a window, and back. Backward gathers: each pixel asks the windows it is under.

// y (planes, rows, columns), and where in its plane each came from; padding never wins.
KERNEL max_pool_forward(const float* x, float* y, int* where, const __grid_constant__ Window w, int planes) {
    int positions = w.rows * w.columns;
    for (int o = FIRST; o < planes * positions; o += STEP) {
        const float* plane = x + o / positions * w.height * w.width;
        int top_y = o % positions / w.columns * w.stride_h - w.pad_h, top_x = o % w.columns * w.stride_w - w.pad_w;
        float top = 0;
        int at = -1;
        for (int i = 0; i < w.kernel_h; ++i)
            for (int j = 0; j < w.kernel_w; ++j) {
                int h = top_y + i * w.dilation_h, v = top_x + j * w.dilation_w;
                if (h < 0 || h >= w.height || v < 0 || v >= w.width) continue;
                float here = plane[h * w.width + v];
                if (at < 0 || here > top || (here != here && top == top)) top = here, at = h * w.width + v;
            }
        y[o] = top;
        where[o] = at;
    }
}

KERNEL max_pool_backward(const float* g, const int* where, float* dx, const __grid_constant__ Window w, int planes) {
    int pixels = w.height * w.width, positions = w.rows * w.columns;
    for (int p = FIRST; p < planes * pixels; p += STEP) {
        int first = p / pixels * positions, pixel = p % pixels;
        float sum = 0;
        over_windows(w, pixel / w.width, pixel % w.width, [&](int, int, int position) {
            if (where[first + position] == pixel) sum += g[first + position];
        });
        dx[p] = sum;
    }
}

// The mean, padding counting as 0.
KERNEL average_pool_forward(const float* x, float* y, const __grid_constant__ Window w, int planes) {
    int positions = w.rows * w.columns;
    for (int o = FIRST; o < planes * positions; o += STEP) {
        const float* plane = x + o / positions * w.height * w.width;
        int top_y = o % positions / w.columns * w.stride_h - w.pad_h, top_x = o % w.columns * w.stride_w - w.pad_w;
        float sum = 0;
        for (int i = 0; i < w.kernel_h; ++i)
            for (int j = 0; j < w.kernel_w; ++j) {
                int h = top_y + i * w.dilation_h, v = top_x + j * w.dilation_w;
                if (h >= 0 && h < w.height && v >= 0 && v < w.width) sum += plane[h * w.width + v];
            }
        y[o] = sum / (w.kernel_h * w.kernel_w);
    }
}

KERNEL average_pool_backward(const float* g, float* dx, const __grid_constant__ Window w, int planes) {
    int pixels = w.height * w.width, positions = w.rows * w.columns;
    for (int p = FIRST; p < planes * pixels; p += STEP) {
        int first = p / pixels * positions, pixel = p % pixels;
        float sum = 0;
        over_windows(w, pixel / w.width, pixel % w.width, [&](int, int, int position) { sum += g[first + position]; });
        dx[p] = sum / (w.kernel_h * w.kernel_w);
    }
}
