// What all kernels share: sums that always add in the same order, loads of 16 bytes, and windows over images.

typedef unsigned int uint32;
typedef unsigned long long uint64;

#define BLOCK 256  // threads in every block
#define ALL_LANES 0xffffffffu
#define KERNEL extern "C" __global__ void __launch_bounds__(BLOCK)

// Where a thread begins and how far it steps in a loop over all elements.
#define FIRST (int)(blockIdx.x * BLOCK + threadIdx.x)
#define STEP (int)(gridDim.x * BLOCK)

// V elements that are loaded and stored at once.
template <class S, int V>
struct alignas(sizeof(S) * V) Pack {
    S at[V];
};

template <int V, class S>
__device__ __forceinline__ Pack<S, V> load(const S* p) {
    return *reinterpret_cast<const Pack<S, V>*>(p);
}

template <int V, class S>
__device__ __forceinline__ void store(S* p, const Pack<S, V>& pack) {
    *reinterpret_cast<Pack<S, V>*>(p) = pack;
}

// Whether all these arrays start at a multiple of 16 bytes; a null pointer does.
template <class... P>
__device__ __forceinline__ bool aligned(P... p) {
    return ((0 | ... | reinterpret_cast<size_t>(p)) & 15) == 0;
}

__device__ __forceinline__ float lane_sum(float v) {
#pragma unroll
    for (int distance = 16; distance; distance /= 2) v += __shfl_xor_sync(ALL_LANES, v, distance);
    return v;
}

__device__ __forceinline__ double lane_sum(double v) {
#pragma unroll
    for (int distance = 16; distance; distance /= 2) v += __shfl_xor_sync(ALL_LANES, v, distance);
    return v;
}

// The sum over each T threads of a block, 32 or BLOCK, known to all of them.
template <int T, class S>
__device__ S group_sum(S v) {
    v = lane_sum(v);
    if (T > 32) {
        __shared__ S parts[T / 32];
        if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
        __syncthreads();
        v = 0;
        for (int i = 0; i < T / 32; ++i) v += parts[i];
        __syncthreads();
    }
    return v;
}

// For each channel of (images, channels, inner) K sums of what `add(i, channel, sums)` adds for each element i.
// They go to partial, (K, gridDim.y, channels), each over one of gridDim.y runs of elements. BLOCK threads in a block,
// gridDim.x of `channel_grid` in Python: with inner 1 a block has 32 channels, else one.
template <int K, class F>
__device__ void channel_sums(int images, int channels, int inner, float* partial, F add) {
    int plane = gridDim.y * channels;
    int size = inner == 1 ? images : images * inner;
    int run = (size + gridDim.y - 1) / gridDim.y;
    int first = blockIdx.y * run, last = min(first + run, size);
    float sums[K] = {};
    if (inner == 1) {
        __shared__ float tile[K][BLOCK / 32][33];
        int lane = threadIdx.x % 32, row = threadIdx.x / 32;
        int channel = blockIdx.x * 32 + lane;
        if (channel < channels)
            for (int n = first + row; n < last; n += BLOCK / 32) add(n * channels + channel, channel, sums);
        for (int k = 0; k < K; ++k) tile[k][row][lane] = sums[k];
        __syncthreads();
        if (row == 0 && channel < channels)
            for (int k = 0; k < K; ++k) {
                for (int i = 1; i < BLOCK / 32; ++i) sums[k] += tile[k][i][lane];
                partial[k * plane + blockIdx.y * channels + channel] = sums[k];
            }
    } else {
        int channel = blockIdx.x;
        for (int j = first + threadIdx.x; j < last; j += BLOCK)
            add((j / inner * channels + channel) * inner + j % inner, channel, sums);
        for (int k = 0; k < K; ++k) {
            float sum = group_sum<BLOCK>(sums[k]);
            if (threadIdx.x == 0) partial[k * plane + blockIdx.y * channels + channel] = sum;
        }
    }
}

// A kernel that slides over images of height times width and stands at rows times columns positions.
struct Window {
    int height, width, rows, columns, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
};

// Calls f(i, j, position) for each place (i, j) of the window and each of its positions that meet at pixel (y, x).
template <class F>
__device__ __forceinline__ void over_windows(const Window& w, int y, int x, F f) {
    for (int i = 0; i < w.kernel_h; ++i) {
        int down = y + w.pad_h - i * w.dilation_h, row = down / w.stride_h;
        if (down < 0 || down % w.stride_h || row >= w.rows) continue;
        for (int j = 0; j < w.kernel_w; ++j) {
            int across = x + w.pad_w - j * w.dilation_w, column = across / w.stride_w;
            if (across < 0 || across % w.stride_w || column >= w.columns) continue;
            f(i, j, row * w.columns + column);
        }
    }
}
