// nms.cu against suppression one by one, as the CPU does it.
#include "check.h"

#include <functional>

#define MOST 8192
#include KERNEL

struct Case {
  const char* name;
  int evaluations, views, n, width;
  double least;
  bool apart;
};

int main() {
  std::mt19937 g(1);
  for (const Case& c : {Case{"one view", 1, 1, 300, 7, 0.2, false}, Case{"three views of two evaluations", 2, 3, 50, 9, 0.0, false},
                        Case{"evaluations apart", 3, 2, 70, 8, 0.3, true}, Case{"none", 1, 2, 20, 7, 2.0, false},
                        Case{"one word", 1, 1, 64, 7, -1, false}, Case{"a candidate", 1, 1, 1, 7, -1, false},
                        Case{"more than 4096", 1, 1, 4200, 7, 0.0, false}}) {
    int total = c.evaluations * c.n, words = (total + 63) / 64;
    std::vector<float> rows(static_cast<size_t>(c.evaluations) * c.views * c.n * c.width);
    for (size_t r = 0; r < rows.size() / c.width; r++) {
      float* row = &rows[r * c.width];
      int j = static_cast<int>(r % c.n);
      row[0] = static_cast<float>(g() % 40) / 40;  // with ties
      row[1] = static_cast<float>(g() % c.n);
      row[2] = static_cast<float>(g() % 3);
      for (int a = 0; a < 2; a++) {
        row[3 + a] = static_cast<float>(g() % 300);
        row[5 + a] = row[3 + a] + static_cast<float>(g() % 90);  // some are empty
      }
      if (j % 31 == 7) row[0] = NAN;
      if (j % 37 == 5) row[5] = NAN;
      if (j % 41 == 3) row[4] = INFINITY;
    }
    std::vector<std::vector<int>> want;
    for (int v = 0; v < c.views; v++) {
      auto row = [&](int e, int j) { return &rows[((static_cast<size_t>(e) * c.views + v) * c.n + j) * c.width]; };
      std::vector<int> order;
      for (int i = 0; i < total; i++) {
        if (row(i / c.n, i % c.n)[0] >= c.least) order.push_back(i);
      }
      std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return row(a / c.n, a % c.n)[0] > row(b / c.n, b % c.n)[0]; });
      std::vector<int> keep;
      for (int i : order) {
        const float *r = row(i / c.n, i % c.n), *p = row(i / c.n, static_cast<int>(r[1])) + 3;
        bool out = false;
        for (int k : keep) {
          const float *other = row(k / c.n, k % c.n), *q = row(k / c.n, static_cast<int>(other[1])) + 3;
          if (other[2] != r[2] || (c.apart && k / c.n != i / c.n)) continue;
          float w = std::max(0.0f, std::min(q[2], p[2]) - std::max(q[0], p[0])), h = std::max(0.0f, std::min(q[3], p[3]) - std::max(q[1], p[1]));
          float both = w * h;
          out |= both / ((q[2] - q[0]) * (q[3] - q[1]) + (p[2] - p[0]) * (p[3] - p[1]) - both) > 0.4;
        }
        if (!out) keep.push_back(i);
      }
      want.push_back(keep);
    }
    std::vector<std::vector<int>> got;
    in_both_orders([&] {
      std::vector<Candidate> sorted(static_cast<size_t>(c.views) * total);
      std::vector<int> count(c.views, 0), out(static_cast<size_t>(c.views) * (total + 1), -1);
      std::vector<Word> matrix(static_cast<size_t>(c.views) * total * words);
      host::run_grid(3, c.views, 64, false, [](void* f) { (*static_cast<std::function<void()>*>(f))(); },
                     new std::function<void()>([&] { ranked(rows.data(), c.width, c.evaluations, c.n, c.least, c.apart, sorted.data(), count.data()); }));
      host::run_grid(5, c.views, 64, false, [](void* f) { (*static_cast<std::function<void()>*>(f))(); },
                     new std::function<void()>([&] { overlaps(sorted.data(), count.data(), total, 0.4, matrix.data()); }));
      host::launch(c.views, 1, 64, [&] { kept(sorted.data(), count.data(), total, matrix.data(), out.data()); });
      got.clear();
      for (int v = 0; v < c.views; v++) {
        const int* of = &out[static_cast<size_t>(v) * (total + 1)];
        got.emplace_back(of + 1, of + 1 + of[0]);
      }
      return got;
    });
    if (got != want) {
      std::fprintf(stderr, "%s: the kept boxes are others\n", c.name);
      return 1;
    }
    std::printf("%s: %zu of %d kept\n", c.name, want[0].size(), total);
  }
}
