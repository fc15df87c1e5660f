// The functions of cuDNN that minitorch calls, declared as in its headers, for float32 in memory of the host.
// Descriptors are marked, so that one in the place of another is an error.

#include <cstddef>
#include <cstdlib>

namespace {

enum { TENSOR = 0x7e, FILTER = 0xf1, CONVOLUTION = 0xc0 };

struct Descriptor {
    int mark, sizes[4];
    int pad[2], stride[2], dilation[2], groups, math;
};

struct Performance {
    int algorithm, status;
    float time;
    std::size_t memory;
    int determinism, math, reserved[3];
};

const char handle_at[1] = {};
int live = 0;
int at_create = 0, at_run = 0;  // the statuses that these answer with
bool says_default = false;      // of algorithm 4 that it uses the default mathematics, whatever was asked for

bool is(const void* d, int mark) { return d && static_cast<const Descriptor*>(d)->mark == mark; }

int create(void** d, int mark) {
    Descriptor* made = static_cast<Descriptor*>(std::calloc(1, sizeof(Descriptor)));
    made->mark = mark;
    *d = made;
    ++live;
    return 0;
}

int destroy(void* d, int mark) {
    if (!is(d, mark)) return 3;
    std::free(d);
    --live;
    return 0;
}

int search(const void* handle, bool fit, const void* geometry, int wanted, int* returned, Performance* found) {
    if (handle != handle_at || !fit || wanted < 5) return 3;
    int math = static_cast<const Descriptor*>(geometry)->math;
    const Performance all[5] = {
        {0, 9, -1, 0, 1, math, {}},              // not supported
        {1, 0, 1, 0, 0, math, {}},               // not deterministic
        {2, 0, 1, std::size_t(1) << 40, 1, math, {}},  // too much memory
        {3, says_default ? 9 : 0, 1, 64, 1, math == 3 ? 0 : math, {}},  // may round, unless it is told not to
        {4, 0, 2, 96, 1, says_default ? 0 : math, {}},
    };
    for (int i = 0; i < 5; ++i) found[i] = all[i];
    *returned = 5;
    return 0;
}

// Calls f(index in x, index in W, index in y) for every product of a convolution.
template <class F>
void over(const Descriptor& x, const Descriptor& w, const Descriptor& y, const Descriptor& c, F f) {
    int per_group = y.sizes[1] / c.groups;
    for (int n = 0; n < y.sizes[0]; ++n)
        for (int o = 0; o < y.sizes[1]; ++o)
            for (int i = 0; i < y.sizes[2]; ++i)
                for (int j = 0; j < y.sizes[3]; ++j)
                    for (int k = 0; k < w.sizes[1]; ++k)
                        for (int p = 0; p < w.sizes[2]; ++p)
                            for (int q = 0; q < w.sizes[3]; ++q) {
                                int h = i * c.stride[0] - c.pad[0] + p * c.dilation[0];
                                int v = j * c.stride[1] - c.pad[1] + q * c.dilation[1];
                                if (h < 0 || h >= x.sizes[2] || v < 0 || v >= x.sizes[3]) continue;
                                int channel = o / per_group * w.sizes[1] + k;
                                f(((n * x.sizes[1] + channel) * x.sizes[2] + h) * x.sizes[3] + v,
                                  ((o * w.sizes[1] + k) * w.sizes[2] + p) * w.sizes[3] + q,
                                  ((n * y.sizes[1] + o) * y.sizes[2] + i) * y.sizes[3] + j);
                            }
}

// A convolution computes `out` of the descriptor `d`; the workspace must be there, alpha 1 and beta 0.
bool ready(
    const void* handle, const void* alpha, const void* geometry, int algorithm, void* workspace, std::size_t size,
    const void* beta, const Descriptor& d, float* out) {
    if (handle != handle_at || !is(geometry, CONVOLUTION) || !workspace) return false;
    bool exact = static_cast<const Descriptor*>(geometry)->math == 3;
    if (algorithm != (exact ? 4 : 3) || size != (exact ? 96 : 64)) return false;
    if (*static_cast<const float*>(alpha) != 1 || *static_cast<const float*>(beta) != 0) return false;
    for (int i = 0; i < d.sizes[0] * d.sizes[1] * d.sizes[2] * d.sizes[3]; ++i) out[i] = 0;
    for (std::size_t i = 0; i < size; ++i) static_cast<char*>(workspace)[i] = 1;
    return true;
}

}  // namespace

extern "C" {

int live_descriptors() { return live; }

void answer(int create, int run, int default_math) { at_create = create, at_run = run, says_default = default_math; }

int cudnnCreate(void** handle) {
    if (at_create) return at_create;
    *handle = const_cast<char*>(handle_at);
    return 0;
}
int cudnnDestroy(void* handle) { return handle == handle_at ? 0 : 3; }
int cudnnSetStream(void* handle, void*) { return handle == handle_at ? 0 : 3; }

int cudnnCreateTensorDescriptor(void** d) { return create(d, TENSOR); }
int cudnnCreateFilterDescriptor(void** d) { return create(d, FILTER); }
int cudnnCreateConvolutionDescriptor(void** d) { return create(d, CONVOLUTION); }
int cudnnDestroyTensorDescriptor(void* d) { return destroy(d, TENSOR); }
int cudnnDestroyFilterDescriptor(void* d) { return destroy(d, FILTER); }
int cudnnDestroyConvolutionDescriptor(void* d) { return destroy(d, CONVOLUTION); }

int cudnnSetTensor4dDescriptor(void* d, int format, int type, int n, int c, int h, int w) {
    if (!is(d, TENSOR) || format || type) return 3;
    const int sizes[4] = {n, c, h, w};
    for (int i = 0; i < 4; ++i) static_cast<Descriptor*>(d)->sizes[i] = sizes[i];
    return 0;
}

int cudnnSetFilter4dDescriptor(void* d, int type, int format, int k, int c, int h, int w) {
    if (!is(d, FILTER) || format || type) return 3;
    const int sizes[4] = {k, c, h, w};
    for (int i = 0; i < 4; ++i) static_cast<Descriptor*>(d)->sizes[i] = sizes[i];
    return 0;
}

int cudnnSetConvolution2dDescriptor(
    void* d, int pad_h, int pad_w, int u, int v, int dilation_h, int dilation_w, int mode, int type) {
    if (!is(d, CONVOLUTION) || mode != 1 || type) return 3;
    Descriptor& c = *static_cast<Descriptor*>(d);
    c.pad[0] = pad_h, c.pad[1] = pad_w, c.stride[0] = u, c.stride[1] = v;
    c.dilation[0] = dilation_h, c.dilation[1] = dilation_w, c.groups = 1;
    return 0;
}

int cudnnSetConvolutionGroupCount(void* d, int groups) {
    if (!is(d, CONVOLUTION)) return 3;
    static_cast<Descriptor*>(d)->groups = groups;
    return 0;
}

int cudnnSetConvolutionMathType(void* d, int math) {
    if (!is(d, CONVOLUTION)) return 3;
    static_cast<Descriptor*>(d)->math = math;
    return 0;
}

int cudnnGetConvolutionForwardAlgorithm_v7(
    void* handle, const void* x, const void* w, const void* c, const void* y, int wanted, int* returned,
    Performance* found) {
    return search(handle, is(x, TENSOR) && is(w, FILTER) && is(c, CONVOLUTION) && is(y, TENSOR), c, wanted, returned, found);
}

int cudnnGetConvolutionBackwardDataAlgorithm_v7(
    void* handle, const void* w, const void* y, const void* c, const void* x, int wanted, int* returned,
    Performance* found) {
    return search(handle, is(x, TENSOR) && is(w, FILTER) && is(c, CONVOLUTION) && is(y, TENSOR), c, wanted, returned, found);
}

int cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    void* handle, const void* x, const void* y, const void* c, const void* w, int wanted, int* returned,
    Performance* found) {
    return search(handle, is(x, TENSOR) && is(w, FILTER) && is(c, CONVOLUTION) && is(y, TENSOR), c, wanted, returned, found);
}

int cudnnConvolutionForward(
    void* handle, const void* alpha, const void* xd, const void* x, const void* wd, const void* w, const void* cd,
    int algorithm, void* workspace, std::size_t size, const void* beta, const void* yd, void* y) {
    if (at_run) return at_run;
    if (!is(xd, TENSOR) || !is(wd, FILTER) || !is(yd, TENSOR)) return 3;
    const Descriptor &dx = *static_cast<const Descriptor*>(xd), &dw = *static_cast<const Descriptor*>(wd);
    const Descriptor &dy = *static_cast<const Descriptor*>(yd), &dc = *static_cast<const Descriptor*>(cd);
    float* out = static_cast<float*>(y);
    if (!ready(handle, alpha, cd, algorithm, workspace, size, beta, dy, out)) return 3;
    over(dx, dw, dy, dc, [&](int i, int j, int k) {
        out[k] += static_cast<const float*>(x)[i] * static_cast<const float*>(w)[j];
    });
    return 0;
}

int cudnnConvolutionBackwardData(
    void* handle, const void* alpha, const void* wd, const void* w, const void* yd, const void* y, const void* cd,
    int algorithm, void* workspace, std::size_t size, const void* beta, const void* xd, void* x) {
    if (at_run) return at_run;
    if (!is(xd, TENSOR) || !is(wd, FILTER) || !is(yd, TENSOR)) return 3;
    const Descriptor &dx = *static_cast<const Descriptor*>(xd), &dw = *static_cast<const Descriptor*>(wd);
    const Descriptor &dy = *static_cast<const Descriptor*>(yd), &dc = *static_cast<const Descriptor*>(cd);
    float* out = static_cast<float*>(x);
    if (!ready(handle, alpha, cd, algorithm, workspace, size, beta, dx, out)) return 3;
    over(dx, dw, dy, dc, [&](int i, int j, int k) {
        out[i] += static_cast<const float*>(y)[k] * static_cast<const float*>(w)[j];
    });
    return 0;
}

int cudnnConvolutionBackwardFilter(
    void* handle, const void* alpha, const void* xd, const void* x, const void* yd, const void* y, const void* cd,
    int algorithm, void* workspace, std::size_t size, const void* beta, const void* wd, void* w) {
    if (at_run) return at_run;
    if (!is(xd, TENSOR) || !is(wd, FILTER) || !is(yd, TENSOR)) return 3;
    const Descriptor &dx = *static_cast<const Descriptor*>(xd), &dw = *static_cast<const Descriptor*>(wd);
    const Descriptor &dy = *static_cast<const Descriptor*>(yd), &dc = *static_cast<const Descriptor*>(cd);
    float* out = static_cast<float*>(w);
    if (!ready(handle, alpha, cd, algorithm, workspace, size, beta, dw, out)) return 3;
    over(dx, dw, dy, dc, [&](int i, int j, int k) {
        out[j] += static_cast<const float*>(x)[i] * static_cast<const float*>(y)[k];
    });
    return 0;
}
}
