// Workers that compute one thing together: each brings numbers and gets those of all.
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

  size_t members() const { return slots_.size(); }

  // gather waits for all members and returns what each brought, by rank. Members that
  // bring different numbers of values do different things: that is an error for all of them, as
  // are calls after abort.
  std::vector<std::vector<double>> gather(size_t rank, std::vector<double> values);

  // abort ends all waiting with an error.
  void abort();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<double>> slots_, all_;
  size_t arrived_ = 0, round_ = 0, size_ = 0;
  bool aborted_ = false;
};

}  // namespace di
