// Random bits as minitorch.random draws them, and dropout. Philox4x64-10 of Salmon et al., SC 2011.

// What tells one draw from all others; the number of the training step is read from the device.
struct Draw {
    uint64 seed, stream, draw;
};

// The eight words number 8 * block to 8 * block + 7 of a draw. NumPy counts from 1.
__device__ __forceinline__ void philox(Draw d, uint64 step, uint64 block, uint32* words) {
    uint64 c0 = block + 1, c1 = d.draw, c2 = step, c3 = 0, k0 = d.seed, k1 = d.stream;
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const uint64 m0 = 0xD2E7470EE14C6C93ull, m1 = 0xCA5A826395121157ull;
        uint64 high0 = __umul64hi(m0, c0), high1 = __umul64hi(m1, c2);
        uint64 next2 = high0 ^ c3 ^ k1;
        c3 = m0 * c0, c0 = high1 ^ c1 ^ k0, c1 = m1 * c2, c2 = next2;
        k0 += 0x9E3779B97F4A7C15ull, k1 += 0xBB67AE8584CAA73Bull;
    }
    const uint64 c[4] = {c0, c1, c2, c3};
#pragma unroll
    for (int i = 0; i < 8; ++i) words[i] = c[i / 2] >> (i % 2 * 32);
}

// out: the words of the draw.
KERNEL random_words(uint32* out, const long long* step, const __grid_constant__ Draw draw, int size) {
    for (int i = FIRST * 8; i < size; i += STEP * 8) {
        uint32 words[8];
        philox(draw, step[0], i / 8, words);
        for (int k = 0; k < 8 && i + k < size; ++k) out[i + k] = words[k];
    }
}

// y = x scale where the word of the draw is at least `least`, else 0; y may be x.
KERNEL dropout(
    const float* x, float* y, const long long* step, const __grid_constant__ Draw draw, int size, uint32 least,
    float scale) {
    for (int i = FIRST * 8; i < size; i += STEP * 8) {
        uint32 words[8];
        philox(draw, step[0], i / 8, words);
        if (i + 8 <= size && aligned(x, y)) {
#pragma unroll
            for (int half = 0; half < 8; half += 4) {
                Pack<float, 4> v = load<4>(x + i + half);
#pragma unroll
                for (int k = 0; k < 4; ++k) v.at[k] *= words[half + k] >= least ? scale : 0;
                store<4>(y + i + half, v);
            }
        } else {
            for (int k = 0; k < 8 && i + k < size; ++k) y[i + k] = x[i + k] * (words[k] >= least ? scale : 0);
        }
    }
}
