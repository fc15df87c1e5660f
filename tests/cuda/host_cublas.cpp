// The functions of cuBLAS that minitorch calls, declared as in its header, for float32 in memory of the host.

#include <cstddef>

extern "C" {

int cublasCreate_v2(void** handle) {
    *handle = reinterpret_cast<void*>(0x123456789abcdef0);  // more than 32 bits
    return 0;
}

int cublasDestroy_v2(void* handle) { return handle == reinterpret_cast<void*>(0x123456789abcdef0) ? 0 : 1; }

int cublasSetStream_v2(void* handle, void*) { return cublasDestroy_v2(handle); }

int cublasSetWorkspace_v2(void* handle, void* workspace, std::size_t size) {
    if (!workspace || reinterpret_cast<std::size_t>(workspace) % 16 || size != std::size_t(32) << 20) return 7;
    return cublasDestroy_v2(handle);
}

int cublasGemmStridedBatchedEx(
    void* handle, int op_a, int op_b, int m, int n, int k, const void* alpha, const void* A, int a_type, int lda,
    long long stride_a, const void* B, int b_type, int ldb, long long stride_b, const void* beta, void* C, int c_type,
    int ldc, long long stride_c, int batch, int compute_type, int algorithm) {
    if (cublasDestroy_v2(handle)) return 1;
    if (a_type || b_type || c_type || compute_type != 68 || algorithm != -1) return 15;
    const float by = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta);
    for (int l = 0; l < batch; ++l)
        for (int j = 0; j < n; ++j)
            for (int i = 0; i < m; ++i) {
                const float* a = static_cast<const float*>(A) + l * stride_a;
                const float* b = static_cast<const float*>(B) + l * stride_b;
                float* c = static_cast<float*>(C) + l * stride_c + i + j * static_cast<long long>(ldc);
                float sum = 0;
                for (int p = 0; p < k; ++p)
                    sum += (op_a ? a[p + i * lda] : a[i + p * lda]) * (op_b ? b[j + p * ldb] : b[p + j * ldb]);
                *c = by * sum + (keep ? keep * *c : 0);
            }
    return 0;
}

int cublasGemmEx(
    void* handle, int op_a, int op_b, int m, int n, int k, const void* alpha, const void* A, int a_type, int lda,
    const void* B, int b_type, int ldb, const void* beta, void* C, int c_type, int ldc, int compute_type,
    int algorithm) {
    return cublasGemmStridedBatchedEx(
        handle, op_a, op_b, m, n, k, alpha, A, a_type, lda, 0, B, b_type, ldb, 0, beta, C, c_type, ldc, 0, 1,
        compute_type, algorithm);
}
}
