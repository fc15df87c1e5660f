// Logged values, added to running sums in the order in which they came.

#define VALUES 32

// Addresses of values with their weights, the columns of the sums that they go to, and whether they are double.
struct Values {
    uint64 at[VALUES];
    double weight[VALUES];
    int column[VALUES], wide[VALUES];
};

// sums (rows, columns): value times weight is added in each row. For one block; a thread has a column to itself.
KERNEL add_values(double* sums, const __grid_constant__ Values values, int count, int rows, int columns) {
    for (int c = threadIdx.x; c < columns; c += BLOCK)
        for (int i = 0; i < count; ++i) {
            if (values.column[i] != c) continue;
            const void* at = reinterpret_cast<const void*>(values.at[i]);
            double v = values.wide[i] ? *static_cast<const double*>(at) : *static_cast<const float*>(at);
            double share = v * values.weight[i];
            for (int r = 0; r < rows; ++r) sums[r * columns + c] += share;
        }
}
