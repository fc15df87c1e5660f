// Enough of CUDA to run kernels on the host, one block after the other, and the threads of a block in turn.
//
// A thread runs until it waits: at __syncthreads for all threads of its block, or at a shuffle for the lanes of its
// warp. It waits in its fibre, and the threads after it are run in another. A warp runs as far as it can before the
// next one does, the first warp first or the last, and so do blocks: so a result that depends on their order shows.
// Shared memory is nan when a block begins. A barrier that some threads never reach is an error.

#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(threads)
#define __grid_constant__
#define __shared__ static __attribute__((section("shared_memory")))

extern "C" char __start_shared_memory[], __stop_shared_memory[];  // the linker's names for the ends of a section

namespace emulator {

struct Index {
    unsigned x, y, z;
};

enum State { READY, AT_BARRIER, AT_SHUFFLE, DONE };

struct Thread {
    State state;
    int shuffles;
    jmp_buf place;  // where it waits; jumps are used since swapcontext asks the system each time
};

struct Fibre {
    bool made;
    jmp_buf idle;  // where it waits for threads to run
    char stack[1 << 15];
};

std::vector<Fibre> fibres(1024);
std::vector<Thread> threads;
jmp_buf scheduler;
int current, started, starting;
bool backwards;
std::function<void()> body;
char slots[2][1024][8];

}  // namespace emulator

emulator::Index threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

// What a fibre does: run threads that have not been started until one waits.
void run_threads() {
    Fibre& me = fibres[starting];
    for (;;) {
        while (started < int(threads.size())) {
            current = backwards ? int(threads.size()) - 1 - started : started;
            ++started;
            threadIdx = {unsigned(current), 0, 0};
            body();
            threads[current].state = DONE;
        }
        if (_setjmp(me.idle) == 0) _longjmp(scheduler, 1);
    }
}

void wait_in(State state) {
    threads[current].state = state;
    if (_setjmp(threads[current].place) == 0) _longjmp(scheduler, 1);
}

// Run threads that have not been started, in one more fibre.
void start(int fibre) {
    starting = fibre;
    Fibre& f = fibres[fibre];
    if (f.made) {
        if (_setjmp(scheduler) == 0) _longjmp(f.idle, 1);
        return;
    }
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = f.stack;
    context.uc_stack.ss_size = sizeof f.stack;
    makecontext(&context, run_threads, 0);
    f.made = true;
    if (_setjmp(scheduler) == 0) setcontext(&context);
}

void go_on(int thread) {
    current = thread;
    threadIdx = {unsigned(thread), 0, 0};
    if (_setjmp(scheduler) == 0) _longjmp(threads[thread].place, 1);
}

}  // namespace emulator

inline void __syncthreads() { emulator::wait_in(emulator::AT_BARRIER); }

template <class T>
T __shfl_xor_sync(unsigned, T value, int distance) {
    int lane = emulator::current, parity = emulator::threads[lane].shuffles++ % 2;
    std::memcpy(emulator::slots[parity][lane], &value, sizeof value);
    emulator::wait_in(emulator::AT_SHUFFLE);
    std::memcpy(&value, emulator::slots[parity][lane ^ distance], sizeof value);
    return value;
}

inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline float __int_as_float(int bits) {
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned __int128>(a) * b >> 64;
}

namespace emulator {

// Make the threads `first` to `last` ready if all of them wait in `state`; whether they are.
bool release(State state, int first, int last) {
    for (int i = first; i < last; ++i)
        if (threads[i].state != state) return false;
    for (int i = first; i < last; ++i) threads[i].state = READY;
    return true;
}

// Run the lanes of a warp, over its shuffles, until none can go on.
void run_warp(int first, int last) {
    do
        for (int i = first; i < last; ++i) {
            int thread = backwards ? first + last - 1 - i : i;
            if (threads[thread].state == READY) go_on(thread);
        }
    while (release(AT_SHUFFLE, first, last));
}

std::string run_block() {
    const int count = blockDim.x, warps = (count + 31) / 32;
    threads.assign(count, Thread{READY, 0, {}});
    started = 0;
    std::memset(__start_shared_memory, 0xFF, __stop_shared_memory - __start_shared_memory);
    for (int fibre = 0; started < count; ++fibre) start(fibre);
    do {
        for (int i = 0; i < warps; ++i) {
            int first = 32 * (backwards ? warps - 1 - i : i), last = min(first + 32, count);
            release(AT_SHUFFLE, first, last);
            run_warp(first, last);
        }
    } while (release(AT_BARRIER, 0, count));
    for (const Thread& t : threads)
        if (t.state != DONE) {
            for (Fibre& f : fibres) f.made = false;
            return "some threads of a block wait for others that never come";
        }
    return "";
}

std::string run(Index grid, Index block, bool in_reverse, std::function<void()> call) {
    body = std::move(call);
    backwards = in_reverse;
    gridDim = grid, blockDim = block;
    const unsigned blocks = grid.x * grid.y * grid.z;
    for (unsigned n = 0; n < blocks; ++n) {
        unsigned b = backwards ? blocks - 1 - n : n;
        blockIdx = {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
        std::string error = run_block();
        if (!error.empty()) return error;
    }
    return "";
}

template <class... A, std::size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_reference_t<A>*>(arguments[I])...);
}

template <class... A>
const char* launch(
    void (*kernel)(A...), const unsigned* grid, unsigned block, int in_reverse, void** arguments,
    const unsigned* sizes, int count) {
    static std::string error;
    const unsigned expected[] = {sizeof(A)...};
    if (count != sizeof...(A)) return "another number of arguments than the kernel has";
    for (int i = 0; i < count; ++i)
        if (sizes[i] != expected[i]) return "an argument of another size than the kernel's";
    error = run({grid[0], grid[1], grid[2]}, {block, 1, 1}, in_reverse,
                [=] { call(kernel, arguments, std::index_sequence_for<A...>{}); });
    return error.empty() ? nullptr : error.c_str();
}

}  // namespace emulator

#define EXPORT(file, name)                                                                                   \
    extern "C" const char* launch_##name(                                                                     \
        const unsigned* grid, unsigned block, int in_reverse, void** arguments, const unsigned* sizes, int count) { \
        return emulator::launch(&file::name, grid, block, in_reverse, arguments, sizes, count);                      \
    }
