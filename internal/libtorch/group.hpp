#include "group.h"

#include <c10/util/Exception.h>

#include <cstdlib>

#include "kernels.h"

// In group.go. gather returns a message, or stores the values of all members, each n, one after the
// other; both are released by free().
extern "C" {
char* diGroupGather(uintptr_t function, double* mine, size_t n, double** all, size_t* members);
void diGroupForget(uintptr_t function);
}

namespace di {

std::vector<std::vector<double>> Group::gather(size_t rank, std::vector<double> values) {
  std::unique_lock<std::mutex> lock(mutex_);
  TORCH_CHECK(rank < slots_.size(), "rank ", rank, " is out of range in a group of ", slots_.size());
  auto different = [&] { return arrived_ > 0 && values.size() != size_; };
  if (different()) {
    aborted_ = true;
    changed_.notify_all();
  }
  TORCH_CHECK(!aborted_, "another member of the group has stopped");
  size_ = values.size();
  slots_[rank] = std::move(values);
  if (++arrived_ == slots_.size()) {
    // Nobody still reads the results of the last round: all members have arrived in this one.
    all_ = slots_;
    arrived_ = 0;
    round_++;
    changed_.notify_all();
    return all_;
  }
  size_t round = round_;
  changed_.wait(lock, [&] { return round_ != round || aborted_; });
  TORCH_CHECK(round_ != round, "another member of the group has stopped");
  return all_;
}

void Group::abort() {
  std::lock_guard<std::mutex> lock(mutex_);
  aborted_ = true;
  changed_.notify_all();
}

}  // namespace di

namespace {

// Elsewhere is a group whose members meet in a function of the Go side.
class Elsewhere : public di::Group {
 public:
  explicit Elsewhere(uintptr_t function) : di::Group(0), function_(function) {}
  ~Elsewhere() override { diGroupForget(function_); }

  std::vector<std::vector<double>> gather(size_t, std::vector<double> values) override {
    double* all = nullptr;
    size_t members = 0;
    char* failed = diGroupGather(function_, values.data(), values.size(), &all, &members);
    std::unique_ptr<void, decltype(&std::free)> owner(failed ? static_cast<void*>(failed) : all, std::free);
    TORCH_CHECK(!failed, failed);
    std::vector<std::vector<double>> out;
    for (size_t m = 0; m < members; m++) out.emplace_back(all + m * values.size(), all + (m + 1) * values.size());
    return out;
  }

 private:
  uintptr_t function_;
};

std::shared_ptr<di::Group>& ref(di_group g) { return *reinterpret_cast<std::shared_ptr<di::Group>*>(g); }

}  // namespace

di_group di_group_new(size_t members) noexcept {
  return reinterpret_cast<di_group>(new std::shared_ptr<di::Group>(std::make_shared<di::Group>(members)));
}

di_group di_group_elsewhere(uintptr_t function) noexcept {
  return reinterpret_cast<di_group>(new std::shared_ptr<di::Group>(std::make_shared<Elsewhere>(function)));
}

void di_group_free(di_group g) noexcept { delete &ref(g); }

void di_group_abort(di_group g) noexcept { ref(g)->abort(); }
