// C interface to NCCL, which is found when the program runs. Functions return NULL, or a message to be released by
// free().
#pragma once
#include "processes.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dp_nccl_s* dp_nccl;

#define DP_NCCL_ID 128  // bytes of an id

// Opens the library under a name, or the usual one if it is NULL. *missing says that there is none, and version is
// that of what is there, such as 22005 for 2.20.5.
char* dp_nccl_load(const char* name, bool* missing, int* version) DP_NOEXCEPT;

// Makes an id, which all members of a communicator need.
char* dp_nccl_new_id(char id[DP_NCCL_ID]) DP_NOEXCEPT;

// Joins a communicator with a GPU. It waits for all members, for as long as they take.
char* dp_nccl_open(int device, const char id[DP_NCCL_ID], int rank, int size, dp_nccl* out) DP_NOEXCEPT;

// Enqueues that n elements of an at::ScalarType on the GPU are replaced by the sums over all members.
char* dp_nccl_sum(dp_nccl c, void* data, size_t n, int type, void* stream) DP_NOEXCEPT;

// What has gone wrong in the communicator meanwhile.
char* dp_nccl_error(dp_nccl c) DP_NOEXCEPT;

// Ends what is enqueued, and the communicator, whatever the others do. It may be called while another thread waits in
// dp_nccl_sum, once.
char* dp_nccl_abort(dp_nccl c) DP_NOEXCEPT;

// Ends the communicator, of which nothing is enqueued.
char* dp_nccl_close(dp_nccl c) DP_NOEXCEPT;

// The GPU's own number, the same in every process.
char* dp_gpu_uuid(int device, char uuid[16]) DP_NOEXCEPT;

#ifdef __cplusplus
}
#endif
