// The largest element and the mean under a window, and back. Backward gathers: each pixel asks the windows it is under.

// Whether v is the largest of a window, `top`; nan is larger than all.
__device__ __forceinline__ bool is_top(float v, float top) {
    return v == top || (v != v && top != top);
}

// y (planes, rows, columns); padding never wins.
KERNEL max_pool_forward(const float* x, float* y, const __grid_constant__ Window w, int planes) {
    int positions = w.rows * w.columns;
    for (int o = FIRST; o < planes * positions; o += STEP) {
        const float* plane = x + o / positions * w.height * w.width;
        int top_y = o % positions / w.columns * w.stride_h - w.pad_h, top_x = o % w.columns * w.stride_w - w.pad_w;
        float top = 0;
        bool any = false;
        for (int i = 0; i < w.kernel_h; ++i)
            for (int j = 0; j < w.kernel_w; ++j) {
                int h = top_y + i * w.dilation_h, v = top_x + j * w.dilation_w;
                if (h < 0 || h >= w.height || v < 0 || v >= w.width) continue;
                float here = plane[h * w.width + v];
                if (!any || here > top || here != here) top = here, any = true;
            }
        y[o] = top;
    }
}

// dx: each pixel's share of g, from the windows that it is the largest of, and the first, row by row.
KERNEL max_pool_backward(
    const float* g, const float* x, const float* y, float* dx, const __grid_constant__ Window w, int planes) {
    int pixels = w.height * w.width, positions = w.rows * w.columns;
    for (int p = FIRST; p < planes * pixels; p += STEP) {
        const float* plane = x + p / pixels * pixels;
        int first = p / pixels * positions, pixel = p % pixels;
        float sum = 0;
        over_windows(w, pixel / w.width, pixel % w.width, [&](int i, int j, int position) {
            float top = y[first + position];
            if (!is_top(plane[pixel], top)) return;
            int top_y = position / w.columns * w.stride_h - w.pad_h, top_x = position % w.columns * w.stride_w - w.pad_w;
            for (int k = 0; k < i * w.kernel_w + j; ++k) {
                int h = top_y + k / w.kernel_w * w.dilation_h, v = top_x + k % w.kernel_w * w.dilation_w;
                if (h >= 0 && h < w.height && v >= 0 && v < w.width && is_top(plane[h * w.width + v], top)) return;
            }
            sum += g[first + position];
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
