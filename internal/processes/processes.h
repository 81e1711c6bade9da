// C interface to LibTorch's c10d: a key-value store over TCP (TCPStore) and collective operations over
// gloo. Functions return NULL, or a message to be released by free().
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define DP_NOEXCEPT noexcept
extern "C" {
#else
#define DP_NOEXCEPT
#endif

typedef struct dp_store_s* dp_store;
typedef struct dp_group_s* dp_group;
typedef struct dp_work_s* dp_work;

// Whether gloo's headers were there when this was compiled.
bool dp_available(void) DP_NOEXCEPT;

// Connects to a store, or opens one too if listen is set; port 0 then takes a free one. *port is set.
char* dp_store_open(const char* host, int* port, bool listen, int64_t timeout_ms, dp_store* out) DP_NOEXCEPT;
void dp_store_free(dp_store s) DP_NOEXCEPT;
// How long later calls wait.
void dp_store_timeout(dp_store s, int64_t timeout_ms) DP_NOEXCEPT;
char* dp_store_set(dp_store s, const char* key, const void* data, size_t n) DP_NOEXCEPT;
// Stores a copy to be released by free(), or NULL if the key is absent.
char* dp_store_get(dp_store s, const char* key, void** data, size_t* n) DP_NOEXCEPT;
// *value becomes the sum of all numbers that were added to the key.
char* dp_store_add(dp_store s, const char* key, int64_t* value) DP_NOEXCEPT;

// Connects all processes; address is this one's own. Keys in the store begin with prefix.
char* dp_group_open(dp_store s, const char* prefix, const char* address, int rank, int size, int64_t timeout_ms,
                    dp_group* out) DP_NOEXCEPT;
void dp_group_free(dp_group g) DP_NOEXCEPT;

// Operations on memory that must stay until the work is done. type is an at::ScalarType.
char* dp_sum(dp_group g, void* data, size_t n, int type, dp_work* out) DP_NOEXCEPT;
char* dp_broadcast(dp_group g, void* data, size_t bytes, int root, dp_work* out) DP_NOEXCEPT;
char* dp_all_gather(dp_group g, const void* mine, void* all, size_t bytes, int size, dp_work* out) DP_NOEXCEPT;

// Waits for a time; *done says whether the work is over, with or without an error.
char* dp_work_wait(dp_work w, int64_t timeout_ms, bool* done) DP_NOEXCEPT;
void dp_work_free(dp_work w) DP_NOEXCEPT;

#ifdef __cplusplus
}
#endif
