// An all-gather between the members that train one model, for synchronised batch norm (SyncBN):
// threads of this process or, by a function of the Go side, anything else.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace di {

class Group {
 public:
  explicit Group(size_t members) : slots_(members) {}
  virtual ~Group() = default;

  // gather waits for all members and returns the values of each, by rank. Members that pass
  // different numbers of values are out of step: that is an error for all of them. Calls after
  // abort fail, too.
  virtual std::vector<std::vector<double>> gather(size_t rank, std::vector<double> values);

  // abort makes all waiting and later calls of gather fail.
  void abort();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<double>> slots_, all_;
  size_t arrived_ = 0, round_ = 0, size_ = 0;
  bool aborted_ = false;
};

}  // namespace di
