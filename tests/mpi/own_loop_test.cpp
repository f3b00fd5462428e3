// A training loop that is not lockstep's own, as a session runs it.

#include "coordinator/daemon/own_loop.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <ATen/ops/from_blob.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "common/agree.h"
#include "common/comm.h"
#include "common/error.h"
#include "common/file_system.h"
#include "coordinator/catalog.h"
#include "coordinator/config_loader.h"
#include "coordinator/daemon/lone_failure.h"
#include "coordinator/daemon/session.h"
#include "coordinator/liveness.h"

namespace lockstep {
namespace {

constexpr std::int64_t kBatch = 8;

// What a loop trains here: numbers that depend on all iterations before and on the data's position.
struct Model {
  std::vector<float> weight = std::vector<float>(21, -1.0F);
  std::vector<float> momentum = std::vector<float>(21, -1.0F);
  int initialized = 0;

  void initialize() {
    std::iota(weight.begin(), weight.end(), 0.0F);
    std::fill(momentum.begin(), momentum.end(), 0.5F);
    ++initialized;
  }
  void step(std::int64_t position) {
    for (std::size_t i = 0; i < weight.size(); ++i) {
      momentum[i] = 0.5F * momentum[i] + 0.25F * static_cast<float>(position % 7);
      weight[i] += momentum[i];
    }
  }
};

class OwnLoopTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = root_decides(comm_, "make a folder", [] {
      const auto path =
          std::filesystem::temp_directory_path() / ("lockstep-own-loop-" + random_hex(8));
      std::filesystem::create_directory(path);
      return path.string();
    });
  }
  void TearDown() override {
    barrier(comm_);
    if (comm_.is_root()) std::filesystem::remove_all(folder_);
  }

  bool is_last() const { return comm_.rank() == comm_.size() - 1; }

  // A job; its exit code, which must be every rank's.
  int run(const std::string& more, const OwnBody& body, const std::string& store = "store") {
    const auto text = "store: ./" + store + "\nlog: {level: error}\n" + more;
    const auto read = [&] {
      return encode(parse_config(text, folder_ + "/train.yaml", {},
                                 [](const std::string&) { return std::nullopt; }));
    };
    Supervision supervision;
    const auto code = run_session(comm_, *files_, read, supervision, Purpose::kTrain,
                                  RunsOn::kCallersThread, body);
    EXPECT_EQ(code, std::stoi(root_decides(comm_, "compare", [&] { return std::to_string(code); })))
        << "every rank ends with the same code";
    return code;
  }
  static std::string until(std::int64_t iteration, const std::string& more = "") {
    return "task: {name: own_loop}\nrun: {max_iterations: " + std::to_string(iteration) + "}\n" +
           more;
  }

  static void add(OwnLoop& loop, Model& model) {
    loop.add("model.weight", {3, 7}, model.weight);
    loop.add("optimizer.weight.momentum_buffer", {3, 7}, model.momentum);
  }
  static void restore(OwnLoop& loop, Model& model) {
    loop.restore({.samples = 100, .digest = "d", .initialize = [&] { model.initialize(); }});
  }
  static OwnBody training(Model& model) {
    return [&model](OwnLoop& loop) {
      add(loop, model);
      restore(loop, model);
      while (loop.goes_on()) {
        model.step(loop.position());
        loop.completed(kBatch);
      }
    };
  }

  const Comm comm_ = Comm::duplicate(MPI_COMM_WORLD);
  const std::unique_ptr<FileSystem> files_ = make_posix_file_system();
  std::string folder_;
};

TEST_F(OwnLoopTest, CarriesOnFromWhatItSavedAsIfItHadNeverEnded) {
  for (const std::string async : {"true", "false"}) {
    const auto own = "async-" + async;
    const auto saves = "checkpoint: {interval: 2, async: " + async + "}\n";
    Model straight;
    EXPECT_EQ(run(until(9, saves), training(straight), own + "-straight"), 0);
    EXPECT_EQ(straight.initialized, 1);

    Model first;
    EXPECT_EQ(run(until(5, saves), training(first), own), 0);
    Model second;
    std::int64_t began = -1;
    const auto noting = [&](OwnLoop& loop) {
      add(loop, second);
      restore(loop, second);
      began = loop.iteration();
      EXPECT_EQ(loop.position(), began * kBatch);
      while (loop.goes_on()) {
        second.step(loop.position());
        loop.completed(kBatch);
      }
    };
    EXPECT_EQ(run(until(9, saves + "restore: latest\n"), noting, own), 0);
    EXPECT_EQ(began, 5);
    EXPECT_EQ(second.initialized, 0);
    EXPECT_EQ(second.weight, straight.weight);
    EXPECT_EQ(second.momentum, straight.momentum);
  }
}

TEST_F(OwnLoopTest, WhatIsSavedBesideTrainingIsTheStateOfItsIteration) {
  std::vector<float> large(std::size_t{1} << 23);
  const auto set = [&](float value) { std::fill(large.begin(), large.end(), value); };
  const auto take = [&](OwnLoop& loop) {
    loop.add("model.large", {std::ssize(large)}, large);
    loop.restore({.samples = 1, .digest = "d", .initialize = [&] { set(0); }});
  };
  const auto counting = [&](OwnLoop& loop) {
    take(loop);
    while (loop.goes_on()) {
      set(static_cast<float>(loop.iteration() + 1));
      loop.completed(kBatch);
    }
  };
  const auto saves = "checkpoint: {interval: 1, keep_last: 9, async: true}\n";
  EXPECT_EQ(run(until(4, saves), counting), 0);
  for (const float iteration : {1.0F, 2.0F, 3.0F}) {
    const auto looking = [&](OwnLoop& loop) {
      take(loop);
      EXPECT_EQ(std::ranges::count(large, iteration), std::ssize(large));
      loop.completed(kBatch);
    };
    const auto named = "restore: 1@" + std::to_string(static_cast<int>(iteration)) + "\n";
    EXPECT_EQ(run(until(static_cast<int>(iteration) + 1, saves + named), looking), 0);
  }
}

TEST_F(OwnLoopTest, WhatIsNotLoadedIsInitialized) {
  Model first;
  EXPECT_EQ(run(until(4), training(first)), 0);
  Model second;
  const auto looking = [&](OwnLoop& loop) {
    add(loop, second);
    restore(loop, second);
    EXPECT_EQ(second.weight, first.weight);
    EXPECT_EQ(second.momentum, std::vector<float>(21, 0.5F));
    EXPECT_EQ(loop.iteration(), 0);
    while (loop.goes_on())
      loop.completed(kBatch);
  };
  EXPECT_EQ(run(until(1, "restore: {mode: latest, scope: model}\n"), looking), 0);
}

TEST_F(OwnLoopTest, WorkThatIsDoneCallsForNoLoop) {
  Model first;
  EXPECT_EQ(run(until(4), training(first)), 0);
  EXPECT_EQ(run(until(4, "restore: latest\n"), [](OwnLoop&) { FAIL() << "was called"; }), 0);
}

TEST_F(OwnLoopTest, TensorsThatAreWrongOnAnyRankAreRefusedOnAll) {
  const std::vector<std::function<void(OwnLoop&, std::vector<float>&)>> rows = {
      [](OwnLoop& loop, auto& values) { loop.add("weight", {4}, values); },
      [](OwnLoop& loop, auto& values) { loop.add("optimizer.weight", {4}, values); },
      [](OwnLoop& loop, auto& values) { loop.add("model.a/b", {4}, values); },
      [](OwnLoop& loop, auto& values) { loop.add("model.weight", {5}, values); },
      [](OwnLoop& loop, auto&) { loop.add("model.weight", {0}, {}); },
      [](OwnLoop& loop, auto& values) {
        loop.add("model.weight", {4}, values);
        loop.add("model.weight", {4}, values);
      },
      [](OwnLoop& loop, auto& values) {
        loop.add("model.weight", {4}, values);
        loop.add("optimizer.nobody.momentum_buffer", {4}, values);
      },
      [](OwnLoop& loop, auto& values) {  // goes with model.weight.exp
        loop.add("model.weight", {4}, values);
        loop.add("optimizer.weight.exp.avg", {4}, values);
      },
      [](OwnLoop&, auto&) {},
  };
  for (std::size_t row = 0; row < rows.size(); ++row) {
    std::vector<float> values(4);
    const auto body = [&](OwnLoop& loop) {
      if (is_last()) {
        rows[row](loop, values);
      } else {
        loop.add("model.weight", {4}, values);
      }
      loop.restore({.samples = 1, .digest = "d", .initialize = [] {}});
      ADD_FAILURE() << "row " << row;
    };
    EXPECT_EQ(run(until(4), body), 2) << row;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/store/attempts"));
}

TEST_F(OwnLoopTest, OneThatReturnsTooEarlyOrFailsOnOneRankEndsAlikeOnAll) {
  Model model;
  const auto too_early = [&](OwnLoop& loop) {
    add(loop, model);
    restore(loop, model);
    loop.completed(kBatch);
  };
  EXPECT_EQ(run(until(4), too_early, "early"), 2);
  const auto failing = [&](OwnLoop& loop) {
    add(loop, model);
    restore(loop, model);
    agree(loop.comm(), "read the batch", [&] {
      if (is_last()) throw Error(ErrorCode::kIo, "the disk is gone");
    });
  };
  EXPECT_EQ(run(until(4), failing, "failing"), 3);
}

TEST_F(OwnLoopTest, AnotherTaskIsRefused) {
  Model model;
  EXPECT_EQ(run("task: {name: synthetic}\nrun: {max_iterations: 1}\n", training(model)), 2);
}

// Whoever calls in the wrong order does so on every rank, and is told what it was.
TEST_F(OwnLoopTest, CallsInTheWrongOrderAreRefused) {
  const auto quiet = OwnData{.samples = 100, .digest = "d", .initialize = [] {}};
  const std::vector<std::function<void(OwnLoop&, Model&)>> rows = {
      [](OwnLoop& loop, Model&) { loop.completed(kBatch); },
      [](OwnLoop&, Model&) {},
      [&](OwnLoop& loop, Model& model) {
        add(loop, model);
        loop.restore(quiet);
        loop.restore(quiet);
      },
      [&](OwnLoop& loop, Model& model) {
        add(loop, model);
        loop.restore(quiet);
        loop.add("buffer.late", {21}, model.weight);
      },
      [&](OwnLoop& loop, Model& model) {
        add(loop, model);
        loop.restore(quiet);
        loop.completed(0);
      },
      [&](OwnLoop& loop, Model& model) {
        add(loop, model);
        loop.restore(quiet);
        loop.completed(kBatch, {{"lo\xffss", 1.0}});
      },
      [&](OwnLoop& loop, Model& model) {
        add(loop, model);
        loop.restore(quiet);
        while (true)
          loop.completed(kBatch);
      },
  };
  for (std::size_t row = 0; row < rows.size(); ++row) {
    Model model;
    EXPECT_EQ(
        run(
            until(4), [&](OwnLoop& loop) { rows[row](loop, model); }, "row" + std::to_string(row)),
        2)
        << row;
  }
}

TEST_F(OwnLoopTest, AnInitializationThatFailsOnOneRankEndsAllAlike) {
  int attempt = 0;
  for (const auto code : {ErrorCode::kNotFound, ErrorCode::kDamaged}) {  // no checkpoint is damaged
    Model model;
    const auto failing = [&](OwnLoop& loop) {
      add(loop, model);
      loop.restore({.samples = 100, .digest = "d", .initialize = [&] {
                      if (is_last()) throw Error(code, "words.txt is not there");
                      model.initialize();
                    }});
      ADD_FAILURE() << "was let through";
    };
    EXPECT_EQ(run(until(4), failing), 2);
    ++attempt;
    if (!comm_.is_root()) continue;
    const auto outcome = read_small_file(
        *files_, folder_ + "/store/attempts/000" + std::to_string(attempt) + "/outcome.json");
    const auto text = "initialize: rank " + std::to_string(comm_.size() - 1) +
                      ": the loop's initialize(): words.txt is not there";
    EXPECT_NE(outcome.find(text), std::string::npos) << outcome;
  }
}

// A checkpoint holds a part of each rank's values: they must be the same.
TEST_F(OwnLoopTest, RanksWhoseValuesDifferAreRefused) {
  if (comm_.size() == 1) return;
  Model model;
  const auto differing_at_start = [&](OwnLoop& loop) {
    add(loop, model);
    loop.restore({.samples = 100, .digest = "d", .initialize = [&] {
                    model.initialize();
                    if (is_last()) model.weight[3] += 1;
                  }});
    ADD_FAILURE() << "was let through";
  };
  EXPECT_EQ(run(until(4), differing_at_start, "start"), 2);
  const auto differing_later = [&](OwnLoop& loop) {
    add(loop, model);
    restore(loop, model);
    while (loop.goes_on()) {
      model.step(loop.position());
      if (loop.iteration() == 2 && is_last()) model.momentum[0] += 1;
      loop.completed(kBatch);
    }
  };
  EXPECT_EQ(run(until(4, "checkpoint: {interval: 2}\n"), differing_later, "later"), 2);
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/later/checkpoints/0001-0000000002"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/later/checkpoints/0001-0000000004"));
}

TEST_F(OwnLoopTest, RanksThatCountDifferentSamplesAreRefusedAtTheNextSave) {
  if (comm_.size() == 1) return;
  for (const std::string async : {"true", "false"}) {
    Model model;
    const auto counting_its_own = [&](OwnLoop& loop) {
      add(loop, model);
      restore(loop, model);
      while (loop.goes_on()) {
        model.step(loop.iteration());
        loop.completed(loop.iteration() == 2 && is_last() ? kBatch + 1 : kBatch);
      }
    };
    const auto saves = "checkpoint: {interval: 2, async: " + async + "}\n";
    EXPECT_EQ(run(until(4, saves), counting_its_own, async), 2);
    if (!comm_.is_root()) continue;
    const auto outcome =
        read_small_file(*files_, folder_ + "/" + async + "/attempts/0001/outcome.json");
    EXPECT_NE(outcome.find("position 33 in the data differs from rank 0's, 32: completed() must"),
              std::string::npos)
        << outcome;
    EXPECT_TRUE(std::filesystem::exists(folder_ + "/" + async + "/checkpoints/0001-0000000002"));
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/" + async + "/checkpoints/0001-0000000004"));
  }
}

TEST_F(OwnLoopTest, MetricsAreRecordedAndThoseThatAreNotFiniteLeftOut) {
  Model model;
  const auto evaluating = [&](OwnLoop& loop) {
    add(loop, model);
    restore(loop, model);
    while (loop.goes_on()) {
      model.step(loop.position());
      loop.completed(kBatch, {{"loss", 0.5}, {"gap", std::nan("")}});
    }
  };
  EXPECT_EQ(run(until(2), evaluating), 0);
  if (!comm_.is_root()) return;
  const auto lines = read_small_file(*files_, folder_ + "/store/attempts/0001/metrics.jsonl");
  EXPECT_NE(lines.find(R"("event":"evaluation")"), std::string::npos) << lines;
  EXPECT_NE(lines.find(R"("loss":0.5)"), std::string::npos) << lines;
  EXPECT_EQ(lines.find("gap"), std::string::npos) << lines;
}

// Nobody else can be asked: the launcher ends the others.
TEST_F(OwnLoopTest, WhatItThrowsIsALoneFailureWithItsCode) {
  const auto code_of = [&](const OwnBody& body, const std::string& store) {
    try {
      run(until(4), body, store);
    } catch (const LoneFailure& failure) {
      EXPECT_NE(std::string(failure.what()).find("the loop, on rank"), std::string::npos);
      return failure.exit_code();
    }
    return -1;
  };
  EXPECT_EQ(code_of([](OwnLoop&) { throw Error(ErrorCode::kNotFound, "no words"); }, "a"), 2);
  EXPECT_EQ(code_of([](OwnLoop&) { throw std::runtime_error("no words"); }, "b"), 3);
  EXPECT_EQ(code_of([](OwnLoop&) { throw 42; }, "c"), 3);
}

// LibTorch's tensors, of which a loop may come to train others than it added.
struct Tensors {
  at::Tensor weight = at::ones({3, 7});
  at::Tensor momentum = at::ones({21});
  std::vector<float> memory = std::vector<float>(4);

  void add(OwnLoop& loop) const {
    loop.add("model.weight", weight);
    loop.add("optimizer.weight.momentum_buffer", momentum);
  }
};

class OwnTensors : public OwnLoopTest {
 protected:
  // All ranks do the same, so that none waits for another. What the lone failure says, or nothing.
  std::string failure_of(const OwnBody& body, const std::string& store) {
    try {
      EXPECT_EQ(run(until(4, "checkpoint: {interval: 1}\n"), body, store), 0);
    } catch (const LoneFailure& failure) {
      EXPECT_EQ(failure.exit_code(), 2);
      return failure.what();
    }
    return "";
  }
  static void restore(OwnLoop& loop) {
    loop.restore({.samples = 100, .digest = "d", .initialize = [] {}});
  }
};

TEST_F(OwnTensors, ThoseThatTheLoopNoLongerTrainsAreNeverSaved) {
  constexpr double kRate = 0.5;
  const std::vector<std::function<void(Tensors&)>> rows = {
      [](Tensors& at) { at.weight = at.weight.sub(at.weight, kRate); },
      [](Tensors& at) { at.weight = at.weight.mul(kRate).detach().requires_grad_(); },
      [](Tensors& at) {
        at.weight.set_data(at::ones({3, 7}));
      },
      [](Tensors& at) { at.weight.reset(); },
      [](Tensors& at) { at.momentum.resize_({100000}); },
      [](Tensors& at) { at.momentum.resize_({3}); },
  };
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const auto store = "row" + std::to_string(row);
    Tensors tensors;
    const auto body = [&](OwnLoop& loop) {
      tensors.add(loop);
      restore(loop);
      while (loop.goes_on()) {
        if (loop.iteration() == 2) rows[row](tensors);
        loop.completed(kBatch);
      }
    };
    const auto name = row < 4 ? "model.weight" : "optimizer.weight.momentum_buffer";
    const auto said = failure_of(body, store);
    EXPECT_NE(said.find(name + std::string(" was added, but the loop trains another tensor now")),
              std::string::npos)
        << row << ": " << said;
    barrier(comm_);
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/" + store + "/checkpoints/0001-0000000003"))
        << row;
  }
}

TEST_F(OwnTensors, ThoseThatChangeInPlaceAreSavedHoweverTheyWereAdded) {
  Tensors tensors;
  const auto body = [&](OwnLoop& loop) {
    loop.add("model.weight", tensors.weight.requires_grad_());
    loop.add("model.detached", tensors.weight.detach());
    loop.add("buffer.flat", tensors.weight.flatten());
    loop.add("buffer.head", tensors.momentum.slice(0, 0, 5));
    loop.add("buffer.memory", at::from_blob(tensors.memory.data(), {4}));
    restore(loop);
    while (loop.goes_on()) {
      tensors.weight.detach().mul_(0.5);
      tensors.momentum.add_(1);
      tensors.memory[0] += 1;
      loop.completed(kBatch);
    }
  };
  EXPECT_EQ(failure_of(body, "store"), "");
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/store/checkpoints/0001-0000000004"));
}

TEST_F(OwnTensors, OfAnotherKindAreRefusedBeforeAnythingIsClaimed) {
  const std::vector<at::Tensor> rows = {
      at::ones({3}, at::kLong),
      at::ones({3}, at::kInt),
      at::ones({3}, at::kDouble),
      at::ones({3}, at::kHalf),
      at::ones({3, 7}).t(),
      at::Tensor(),
      at::ones({0}),
      at::ones({3}, at::kMeta),
  };
  for (std::size_t row = 0; row < rows.size(); ++row) {
    Tensors tensors;
    const auto body = [&](OwnLoop& loop) {
      tensors.add(loop);
      loop.add("buffer.counter", is_last() ? rows[row] : tensors.weight.view({-1}));
      restore(loop);
      ADD_FAILURE() << "row " << row;
    };
    EXPECT_EQ(run(until(4), body), 2) << row;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/store/attempts"));
}

}  // namespace
}  // namespace lockstep
