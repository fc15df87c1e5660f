// Optimizer updates of many parameters in one launch, and the norm of all their gradients.
//
// A block goes over one chunk of CHUNK elements: number blockIdx.x of `chunks`, (tensor, first element). Addresses of
// parameters and their state are a table in device memory, for they stay; those of gradients are an argument.

#define CHUNK 2048
#define TENSORS 256

struct Addresses {
    uint64 at[TENSORS];
};

// What holds for one tensor: shares of the learning rate, decay added to the gradient, and decay of the parameter.
struct Options {
    float lr_scale, l2, decay;
};

__device__ __forceinline__ float* array_at(uint64 address) {
    return reinterpret_cast<float*>(address);
}

// Call `change(parameter, gradient, state 1, state 2)` for each element of this block's chunk; the gradient is scaled
// by `clip`, if that is not null, and then has its decay added. Both states may be null.
template <int V, class F>
__device__ void over_elements(
    float* p, const float* g, float* s1, float* s2, int first, int last, float clip, float l2, F change) {
    for (int i = first + threadIdx.x * V; i < last; i += BLOCK * V) {
        Pack<float, V> a = load<V>(p + i), d = load<V>(g + i), u = {}, v = {};
        if (s1) u = load<V>(s1 + i);
        if (s2) v = load<V>(s2 + i);
#pragma unroll
        for (int k = 0; k < V; ++k) change(a.at[k], clip * d.at[k] + l2 * a.at[k], u.at[k], v.at[k]);
        store<V>(p + i, a);
        if (s1) store<V>(s1 + i, u);
        if (s2) store<V>(s2 + i, v);
    }
}

template <class F>
__device__ __forceinline__ void over_chunk(
    const uint64* params, const uint64* first_state, const uint64* second_state, uint64 gradient, const int* sizes,
    const int* chunks, float l2, const float* clip, F change) {
    int tensor = chunks[2 * blockIdx.x], first = chunks[2 * blockIdx.x + 1];
    int last = min(first + CHUNK, sizes[tensor]);
    float* p = array_at(params[tensor]);
    const float* g = array_at(gradient);
    float* s1 = first_state ? array_at(first_state[tensor]) : nullptr;
    float* s2 = second_state ? array_at(second_state[tensor]) : nullptr;
    float scale = clip ? clip[0] : 1;
    if (scale < 0) return;  // see `unscale`: there is no update
    if (last % 4 == 0 && aligned(p, g, s1, s2))
        over_elements<4>(p, g, s1, s2, first, last, scale, l2, change);
    else
        over_elements<1>(p, g, s1, s2, first, last, scale, l2, change);
}

// p -= lr g
KERNEL sgd_update(
    const uint64* params, const __grid_constant__ Addresses grads, const int* sizes, const int* chunks,
    const float* options, const float* lr, const float* clip) {
    int tensor = chunks[2 * blockIdx.x];
    Options o = reinterpret_cast<const Options*>(options)[tensor];
    float rate = lr[0] * o.lr_scale;
    over_chunk(params, nullptr, nullptr, grads.at[tensor], sizes, chunks, o.l2, clip,
               [=](float& p, float g, float&, float&) { p -= rate * g; });
}

// v = momentum v - lr g, then p += v, or with `nesterov` p += momentum v - lr g
KERNEL momentum_update(
    const uint64* params, const uint64* velocities, const __grid_constant__ Addresses grads, const int* sizes,
    const int* chunks, const float* options, const float* lr, const float* clip, float momentum, int nesterov) {
    int tensor = chunks[2 * blockIdx.x];
    Options o = reinterpret_cast<const Options*>(options)[tensor];
    float rate = lr[0] * o.lr_scale;
    over_chunk(params, velocities, nullptr, grads.at[tensor], sizes, chunks, o.l2, clip,
               [=](float& p, float g, float& v, float&) {
                   v = momentum * v - rate * g;
                   p += nesterov ? momentum * v - rate * g : v;
               });
}

// m and v are means of g and g g; p -= lr (m_hat / (sqrt(v_hat) + eps) + decay p), in step number `step`, from 1, which
// is one for all tensors, or with `each` one for each.
KERNEL adam_update(
    const uint64* params, const uint64* means, const uint64* squares, const __grid_constant__ Addresses grads,
    const int* sizes, const int* chunks, const float* options, const float* lr, const float* clip,
    const long long* step, int each, double beta1, double beta2, double eps) {
    __shared__ float shared_rate, shared_least;
    int tensor = chunks[2 * blockIdx.x];
    Options o = reinterpret_cast<const Options*>(options)[tensor];
    double rate_now = double(lr[0]) * o.lr_scale;
    if (threadIdx.x == 0) {
        double t = step[each ? tensor : 0], root = sqrt(1 - pow(beta2, t));
        shared_rate = rate_now * root / (1 - pow(beta1, t));
        shared_least = eps * root;
    }
    __syncthreads();
    float rate = shared_rate, least = shared_least, shrink = 1 - rate_now * o.decay;
    float keep1 = beta1, rest1 = 1 - beta1, keep2 = beta2, rest2 = 1 - beta2;
    over_chunk(params, means, squares, grads.at[tensor], sizes, chunks, o.l2, clip,
               [=](float& p, float g, float& m, float& v) {
                   m = keep1 * m + rest1 * g;
                   v = keep2 * v + rest2 * g * g;
                   p = shrink * p - rate * m / (sqrtf(v) + least);
               });
}

// The number of the update, of each tensor: one more, unless `keep` says that there is no update; see `unscale`.
KERNEL count_update(long long* steps, int count, const float* keep) {
    if (keep && keep[0] < 0) return;
    for (int i = FIRST; i < count; i += STEP) steps[i] += 1;
}

// h += g g, then p -= lr g / (sqrt(h) + eps)
KERNEL adagrad_update(
    const uint64* params, const uint64* squares, const __grid_constant__ Addresses grads, const int* sizes,
    const int* chunks, const float* options, const float* lr, const float* clip, float eps) {
    int tensor = chunks[2 * blockIdx.x];
    Options o = reinterpret_cast<const Options*>(options)[tensor];
    float rate = lr[0] * o.lr_scale;
    over_chunk(params, squares, nullptr, grads.at[tensor], sizes, chunks, o.l2, clip,
               [=](float& p, float g, float& h, float&) {
                   h += g * g;
                   p -= rate * g / (sqrtf(h) + eps);
               });
}

// dx = sqrt((msdx + eps) / (msg + eps)) g and p -= lr dx, with means msg of g g and msdx of dx dx
KERNEL adadelta_update(
    const uint64* params, const uint64* squares, const uint64* steps, const __grid_constant__ Addresses grads,
    const int* sizes, const int* chunks, const float* options, const float* lr, const float* clip, float rho,
    float eps) {
    int tensor = chunks[2 * blockIdx.x];
    Options o = reinterpret_cast<const Options*>(options)[tensor];
    float rate = lr[0] * o.lr_scale;
    over_chunk(params, squares, steps, grads.at[tensor], sizes, chunks, o.l2, clip,
               [=](float& p, float g, float& msg, float& msdx) {
                   msg = rho * msg + (1 - rho) * g * g;
                   float dx = sqrtf((msdx + eps) / (msg + eps)) * g;
                   msdx = rho * msdx + (1 - rho) * dx * dx;
                   p -= rate * dx;
               });
}

// msg = alpha msg + (1 - alpha) g g, then p -= lr g / (sqrt(msg) + eps)
KERNEL rmsprop_update(
    const uint64* params, const uint64* squares, const __grid_constant__ Addresses grads, const int* sizes,
    const int* chunks, const float* options, const float* lr, const float* clip, float alpha, float eps) {
    int tensor = chunks[2 * blockIdx.x];
    Options o = reinterpret_cast<const Options*>(options)[tensor];
    float rate = lr[0] * o.lr_scale;
    over_chunk(params, squares, nullptr, grads.at[tensor], sizes, chunks, o.l2, clip,
               [=](float& p, float g, float& msg, float&) {
                   msg = alpha * msg + (1 - alpha) * g * g;
                   p -= rate * g / (sqrtf(msg) + eps);
               });
}

// p -= lr (sign(beta1 m + (1 - beta1) g) + decay p), then m = beta2 m + (1 - beta2) g
KERNEL lion_update(
    const uint64* params, const uint64* means, const __grid_constant__ Addresses grads, const int* sizes,
    const int* chunks, const float* options, const float* lr, const float* clip, float beta1, float beta2) {
    int tensor = chunks[2 * blockIdx.x];
    Options o = reinterpret_cast<const Options*>(options)[tensor];
    float rate = lr[0] * o.lr_scale, shrink = 1 - rate * o.decay;
    over_chunk(params, means, nullptr, grads.at[tensor], sizes, chunks, o.l2, clip,
               [=](float& p, float g, float& m, float&) {
                   float d = beta1 * m + (1 - beta1) * g;
                   p = shrink * p - rate * ((d > 0) - (d < 0) + (d != d ? d : 0));  // the sign of nan is nan
                   m = beta2 * m + (1 - beta2) * g;
               });
}

// e = keep[0] e + (1 - keep[0]) p for averages e of tensors p, whose addresses are at `params`.
KERNEL average_update(
    const uint64* averages, const uint64* params, const int* sizes, const int* chunks, const float* keep) {
    float share = keep[0];
    over_chunk(averages, nullptr, nullptr, params[chunks[2 * blockIdx.x]], sizes, chunks, 0, nullptr,
               [=](float& e, float p, float&, float&) { e = (e - p) * share + p; });
}

// The sum of squares of this block's chunk of gradients.
KERNEL chunk_squares(float* partial, const __grid_constant__ Addresses grads, const int* sizes, const int* chunks) {
    int tensor = chunks[2 * blockIdx.x], first = chunks[2 * blockIdx.x + 1];
    int last = min(first + CHUNK, sizes[tensor]);
    const float* g = array_at(grads.at[tensor]);
    float sum = 0;
    for (int i = first + threadIdx.x; i < last; i += BLOCK) sum += g[i] * g[i];
    sum = group_sum<BLOCK>(sum);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// The norm, and by what to multiply gradients so that it is at most `longest`; for one block.
KERNEL clip_scale(const float* partial, int count, float longest, float* norm, float* clip) {
    double sum = 0;
    for (int i = threadIdx.x; i < count; i += BLOCK) sum += partial[i];
    sum = group_sum<BLOCK>(sum);
    if (threadIdx.x == 0) {
        norm[0] = sqrt(sum);
        float scale = longest / (norm[0] + 1e-6f);
        clip[0] = scale > 1 ? 1 : scale;
    }
}

// Gradients divided by scale[0], in place; finite: of each chunk 1 if all of its numbers are finite then, else 0.
KERNEL unscale_chunks(
    float* finite, const __grid_constant__ Addresses grads, const int* sizes, const int* chunks, const float* scale) {
    int tensor = chunks[2 * blockIdx.x], first = chunks[2 * blockIdx.x + 1];
    int last = min(first + CHUNK, sizes[tensor]);
    float* g = array_at(grads.at[tensor]);
    float inverse = 1 / scale[0], wrong = 0;
    for (int i = first + threadIdx.x; i < last; i += BLOCK) {
        g[i] *= inverse;
        if (g[i] - g[i] != 0) wrong = 1;
    }
    wrong = group_sum<BLOCK>(wrong);
    if (threadIdx.x == 0) finite[blockIdx.x] = wrong == 0 ? 1 : 0;
}

// keep: 1 if all of `finite` is 1, else -1. Then the scale is multiplied by `growth` after so many good updates in a row
// as `patience` says, or by `backoff` after a bad one, and stays from 1 to `largest`; for one block.
KERNEL move_loss_scale(
    const float* finite, int count, float* scale, int* good, float* keep, float growth, float backoff, int patience,
    float largest) {
    float wrong = 0;
    for (int i = threadIdx.x; i < count; i += BLOCK) wrong += 1 - finite[i];
    wrong = group_sum<BLOCK>(wrong);
    if (threadIdx.x > 0) return;
    keep[0] = wrong == 0 ? 1 : -1;
    int in_a_row = wrong == 0 ? good[0] + 1 : 0;
    float next = wrong == 0 ? scale[0] : fmaxf(scale[0] * backoff, 1);
    if (in_a_row >= patience) {
        next = fminf(next * growth, largest);
        in_a_row = 0;
    }
    scale[0] = next;
    good[0] = in_a_row;
}
