// Sorting of numbers with their places, by Batcher's bitonic networks: the host is never asked for a size.

#define TILE 2048  // keys that one block sorts in shared memory

// The pair at distance j that thread t of a step looks at, for keys in runs of k that alternately go up and down.
__device__ __forceinline__ void in_order(uint64& low, uint64& high, bool up) {
    if ((low > high) == up) {
        uint64 other = low;
        low = high, high = other;
    }
}

// Steps j, j / 2, ... 1 of the network for runs of k, in shared memory; the tile begins at key `first`.
__device__ void steps_in_tile(uint64* tile, int first, int k, int j) {
    for (; j > 0; j /= 2) {
        __syncthreads();
        for (int t = threadIdx.x; t < TILE / 2; t += BLOCK) {
            int low = 2 * t - (t & (j - 1));
            in_order(tile[low], tile[low + j], ((first + low) & k) == 0);
        }
    }
    __syncthreads();
}

// keys (size,): ids[i] << 32 | i for i < count, the largest number after them, sorted in tiles that go up and down.
KERNEL sort_tiles(const long long* ids, uint64* keys, int count) {
    __shared__ uint64 tile[TILE];
    int first = blockIdx.x * TILE;
    for (int t = threadIdx.x; t < TILE; t += BLOCK)
        tile[t] = first + t < count ? uint64(ids[first + t]) << 32 | uint64(first + t) : ~uint64(0);
    for (int k = 2; k <= TILE; k *= 2) steps_in_tile(tile, first, k, k / 2);
    for (int t = threadIdx.x; t < TILE; t += BLOCK) keys[first + t] = tile[t];
}

// One step of the network for runs of k: pairs at distance j, TILE or more.
KERNEL sort_step(uint64* keys, int size, int k, int j) {
    for (int t = FIRST; t < size / 2; t += STEP) {
        int low = 2 * t - (t & (j - 1));
        in_order(keys[low], keys[low + j], (low & k) == 0);
    }
}

// All steps at distances below TILE for runs of k.
KERNEL sort_within_tiles(uint64* keys, int k) {
    __shared__ uint64 tile[TILE];
    int first = blockIdx.x * TILE;
    for (int t = threadIdx.x; t < TILE; t += BLOCK) tile[t] = keys[first + t];
    steps_in_tile(tile, first, k, TILE / 2);
    for (int t = threadIdx.x; t < TILE; t += BLOCK) keys[first + t] = tile[t];
}
