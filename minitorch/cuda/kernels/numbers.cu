// A few numbers of the host, as arguments of a launch.

#define NUMBERS 256

struct Numbers {
    float at[NUMBERS];
};

// The first `count` of x are those of `values`; for one block.
KERNEL set_numbers(float* x, const __grid_constant__ Numbers values, int count) {
    if (threadIdx.x < count) x[threadIdx.x] = values.at[threadIdx.x];
}
