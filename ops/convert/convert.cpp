#include "ops/convert/convert.hpp"

#include "core/model/checkpoint.hpp"
#include "core/model/gguf.hpp"
#include "core/text/tokenizer.hpp"
#include "ops/convert/parallel_for.hpp"
#include "ops/convert/source_names.hpp"
#include "ops/dtype/codec.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <system_error>

namespace seacliff::convert {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t k_task_elems = 128 * 1024;      // one task of one thread
constexpr std::int64_t k_slab_elems = 8 * 1024 * 1024; // between two writes; bounds memory and the steps of progress
constexpr std::uint64_t k_header_room = 64 << 20;      // metadata and padding, generously

struct Sums {
  double error = 0, value = 0; // of squares
};

/// Rows [begin, end) of one checkpoint tensor and where their encoded bytes go.
struct Task {
  const std::string* source;
  std::int64_t begin, end;
  std::span<const float> importance;
  std::span<std::byte> out;
  Sums sums;
};

/// Converts one tensor, slab by slab.
class TensorJob {
public:
  TensorJob(const Options& options, const Checkpoint& checkpoint, const HParams& hp, const PlannedTensor& tensor)
      : options_(options), checkpoint_(checkpoint), hp_(hp), tensor_(tensor),
        sources_(source_names(tensor.spec.name, hp.n_experts)) {
    rows_per_source_ = tensor.rows() / static_cast<std::int64_t>(sources_.size());
    for (const std::string& source : sources_) check_shape(source);
  }

  /// Missing importance is counted in `unweighted`. `wrote` is told the elements of every slab.
  template <class Wrote> Sums run(GgufWriter& writer, bool& unweighted, Wrote wrote) {
    Sums total;
    const std::int64_t cols = tensor_.cols();
    const std::int64_t slab_rows = std::max<std::int64_t>(1, k_slab_elems / cols);
    const std::uint64_t row_size = row_bytes(tensor_.dtype, static_cast<std::uint64_t>(cols));
    std::vector<std::byte> slab;
    for (std::int64_t begin = 0; begin < tensor_.rows(); begin += slab_rows) {
      const std::int64_t end = std::min(tensor_.rows(), begin + slab_rows);
      slab.resize(static_cast<std::size_t>(end - begin) * row_size);
      std::vector<Task> tasks = split(begin, end, slab, unweighted);
      parallel_for(tasks.size(), options_.threads, [&](std::size_t i) { perform(tasks[i]); });
      for (const Task& task : tasks) { // in order: the same sums for every number of threads
        total.error += task.sums.error;
        total.value += task.sums.value;
      }
      writer.write(slab);
      wrote(static_cast<std::uint64_t>((end - begin) * cols), slab.size());
    }
    return total;
  }

private:
  void check_shape(const std::string& source) const {
    const CheckpointTensor& found = checkpoint_.get(source);
    if (found.rows() != rows_per_source_ || found.cols() != tensor_.cols())
      throw Error(Code::invalid_argument,
                  fmt::format("tensor {} of the checkpoint has {} rows of {}, config.json asks for {} of {}", source,
                              found.rows(), found.cols(), rows_per_source_, tensor_.cols()),
                  "config.json and the shards belong to different models");
  }

  std::vector<Task> split(std::int64_t begin, std::int64_t end, std::span<std::byte> slab, bool& unweighted) const {
    const std::int64_t cols = tensor_.cols();
    const std::int64_t task_rows = std::max<std::int64_t>(1, k_task_elems / cols);
    const std::size_t row_size = slab.size() / static_cast<std::size_t>(end - begin);
    std::vector<Task> tasks;
    for (std::int64_t row = begin; row < end;) {
      const std::int64_t expert = row / rows_per_source_, first = expert * rows_per_source_;
      const std::int64_t stop = std::min({end, row + task_rows, first + rows_per_source_});
      Task task;
      task.source = &sources_[static_cast<std::size_t>(expert)];
      task.begin = row - first;
      task.end = stop - first;
      if (options_.importance != nullptr)
        task.importance =
            options_.importance->columns(tensor_.spec.name, expert, static_cast<std::int64_t>(sources_.size()), cols);
      unweighted = unweighted || task.importance.empty();
      task.out = slab.subspan(static_cast<std::size_t>(row - begin) * row_size,
                              static_cast<std::size_t>(stop - row) * row_size);
      tasks.push_back(task);
      row = stop;
    }
    return tasks;
  }

  void perform(Task& task) const {
    if (options_.cancelled != nullptr && *options_.cancelled) throw Error(Code::cancelled, "interrupted");
    if (tensor_.dtype == DType::i32) return copy_table(task);
    const auto cols = static_cast<std::size_t>(tensor_.cols());
    std::vector<float> values(static_cast<std::size_t>(task.end - task.begin) * cols), decoded(cols);
    checkpoint_.read_rows(*task.source, task.begin, task.end, values);
    const bool exact_fp4 =
        tensor_.dtype == DType::mxfp4 && checkpoint_.get(*task.source).storage == CheckpointStorage::fp4;
    if (exact_fp4) checkpoint_.read_mxfp4(*task.source, task.begin, task.end, task.out);
    const std::size_t row_size = task.out.size() / static_cast<std::size_t>(task.end - task.begin);
    for (std::int64_t r = 0; r < task.end - task.begin; ++r) {
      const std::span<const float> row(values.data() + static_cast<std::size_t>(r) * cols, cols);
      check_values(*task.source, task.begin + r, row);
      std::byte* out = task.out.data() + static_cast<std::size_t>(r) * row_size;
      if (!exact_fp4) dtype::encode_row(tensor_.dtype, row, task.importance, out);
      dtype::decode_row(tensor_.dtype, out, decoded);
      for (std::size_t i = 0; i < cols; ++i) {
        const double difference = double{decoded[i]} - double{row[i]};
        task.sums.error += difference * difference;
        task.sums.value += double{row[i]} * double{row[i]};
      }
    }
  }

  void check_values(const std::string& source, std::int64_t row, std::span<const float> values) const {
    constexpr float f16_end = 65520.0f; // from here on f16 rounds to infinity
    const float limit = tensor_.dtype == DType::f16 ? f16_end : INFINITY;
    for (const float value : values) {
      if (std::abs(value) < limit) continue;
      if (std::isfinite(value))
        throw Error(Code::out_of_range,
                    fmt::format("tensor {} holds {} in row {}, too large for f16", source, value, row),
                    fmt::format("choose another type for the class {}", class_name(tensor_.cls)));
      throw Error(Code::data_loss, fmt::format("tensor {} holds {} in row {}", source, value, row),
                  "fetch the checkpoint again");
    }
  }

  void copy_table(Task& task) const {
    std::vector<std::int32_t> values(task.out.size() / sizeof(std::int32_t));
    checkpoint_.read_ints(*task.source, task.begin, task.end, values);
    for (const std::int32_t expert : values)
      if (expert < 0 || expert >= hp_.n_experts)
        throw Error(Code::data_loss,
                    fmt::format("tensor {} routes to expert {}, the model has {}", *task.source, expert, hp_.n_experts),
                    "fetch the checkpoint again");
    const auto bytes = std::as_bytes(std::span<const std::int32_t>(values));
    std::copy(bytes.begin(), bytes.end(), task.out.begin());
  }

  const Options& options_;
  const Checkpoint& checkpoint_;
  const HParams& hp_;
  const PlannedTensor& tensor_;
  std::vector<std::string> sources_;
  std::int64_t rows_per_source_ = 0;
};

void put_tokenizer(GgufWriter& writer, const VocabData& vocab) {
  writer.put_string("tokenizer.ggml.model", "gpt2");
  writer.put_string("tokenizer.ggml.pre", vocab.pre);
  writer.put_strings("tokenizer.ggml.tokens", vocab.tokens);
  if (!vocab.types.empty()) writer.put_i32s("tokenizer.ggml.token_type", vocab.types);
  writer.put_strings("tokenizer.ggml.merges", vocab.merges);
  const auto put_id = [&](std::string_view key, const std::optional<TokenId>& id) {
    if (id && *id >= 0) writer.put_u32(key, static_cast<std::uint32_t>(*id));
  };
  put_id("tokenizer.ggml.bos_token_id", vocab.bos);
  put_id("tokenizer.ggml.eos_token_id", vocab.eos);
  put_id("tokenizer.ggml.padding_token_id", vocab.pad);
  writer.put_bool("tokenizer.ggml.add_bos_token", vocab.add_bos);
  if (!vocab.chat_template.empty()) writer.put_string("tokenizer.chat_template", vocab.chat_template);
}

void put_metadata(GgufWriter& writer, const Options& options, const HParams& hp) {
  constexpr std::uint32_t quantization_version = 2; // of the block layouts
  write_hparams(writer, hp);
  writer.put_u32("general.file_type", file_type_of(options.recipe));
  writer.put_u32("general.quantization_version", quantization_version);
  put_tokenizer(writer, vocab_from_json(options.in / "tokenizer.json", static_cast<std::size_t>(hp.n_vocab)));
  if (options.importance == nullptr) return;
  const Importance& importance = *options.importance;
  writer.put_string("quantize.imatrix.file", fs::path(importance.name()).filename().string());
  if (!importance.dataset().empty()) writer.put_string("quantize.imatrix.dataset", importance.dataset());
  writer.put_u32("quantize.imatrix.entries_count", static_cast<std::uint32_t>(importance.entries()));
  writer.put_u32("quantize.imatrix.chunks_count", static_cast<std::uint32_t>(importance.chunks()));
}

void check_space(const fs::path& out, std::uint64_t bytes) {
  constexpr double gib = 1024.0 * 1024.0 * 1024.0;
  std::error_code error;
  const fs::path parent = out.has_parent_path() ? out.parent_path() : fs::path(".");
  if (!fs::is_directory(parent, error))
    throw Error(Code::not_found, fmt::format("{} is not a directory", parent.string()), "create it first");
  const auto space = fs::space(parent, error);
  if (error || space.available >= bytes) return; // where the system does not say, writing will
  throw Error(Code::resource_exhausted,
              fmt::format("{} needs {:.2f} GiB, {} has {:.2f} GiB free", out.string(), static_cast<double>(bytes) / gib,
                          parent.string(), static_cast<double>(space.available) / gib),
              "free some space or give another place");
}

/// Quantised in the sense that weights of columns change the outcome.
bool is_weighted(DType dtype) { return dtype_info(dtype).block_elems > 1 && dtype != DType::q8_0; }

class Conversion {
public:
  explicit Conversion(const Options& options)
      : options_(options), checkpoint_(Checkpoint::open(options.in)),
        hp_(hparams_from_config(options.in / "config.json")),
        plan_(plan_tensors(options.recipe, expected_tensors(hp_))) {}

  Result run() {
    const auto start = std::chrono::steady_clock::now();
    for (const PlannedTensor& tensor : plan_) {
      result_.data_bytes += tensor.bytes();
      progress_.all_elems += static_cast<std::uint64_t>(tensor.rows() * tensor.cols());
    }
    check_space(options_.out, result_.data_bytes + k_header_room);
    GgufWriter writer(options_.out);
    put_metadata(writer, options_, hp_);
    for (const PlannedTensor& tensor : plan_) writer.declare(tensor.spec.name, tensor.dtype, tensor.spec.dims);
    for (const PlannedTensor& tensor : plan_) convert_tensor(writer, tensor);
    writer.finish();
    add_notes();
    for (auto& [key, row] : classes_) result_.classes.push_back(row);
    result_.tensors = plan_.size();
    result_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::move(result_);
  }

private:
  void convert_tensor(GgufWriter& writer, const PlannedTensor& tensor) {
    progress_.tensor = tensor.spec.name;
    bool unweighted = false;
    TensorJob job(options_, checkpoint_, hp_, tensor);
    const Sums sums = job.run(writer, unweighted, [&](std::uint64_t elems, std::uint64_t bytes) {
      progress_.done_elems += elems;
      progress_.written_bytes += bytes;
      if (options_.progress) options_.progress(progress_);
    });
    if (unweighted && options_.importance != nullptr && is_weighted(tensor.dtype)) ++n_unweighted_;
    ClassResult& row = classes_[{tensor.cls, tensor.dtype}];
    row.cls = tensor.cls;
    row.dtype = tensor.dtype;
    row.tensors += 1;
    row.elems += static_cast<std::uint64_t>(tensor.rows() * tensor.cols());
    row.bytes += tensor.bytes();
    row.error_sum += sums.error;
    row.value_sum += sums.value;
  }

  void add_notes() {
    std::map<std::pair<DType, DType>, std::pair<std::uint64_t, std::string>> refused; // count, an example
    for (const PlannedTensor& tensor : plan_)
      if (tensor.dtype != tensor.wanted)
        if (auto& [count, example] = refused[{tensor.wanted, tensor.dtype}]; count++ == 0)
          example = fmt::format("{}: rows of {}", tensor.spec.name, tensor.cols());
    for (const auto& [types, what] : refused)
      result_.notes.push_back(fmt::format("{} tensors are {} instead of {}, whose blocks of {} do not fit ({})",
                                          what.first, dtype_info(types.second).name, dtype_info(types.first).name,
                                          dtype_info(types.first).block_elems, what.second));
    if (n_unweighted_ > 0)
      result_.notes.push_back(
          fmt::format("{} quantised tensors have no entry in {}", n_unweighted_, options_.importance->name()));
  }

  const Options& options_;
  Checkpoint checkpoint_;
  HParams hp_;
  std::vector<PlannedTensor> plan_;
  std::map<std::pair<TensorClass, DType>, ClassResult> classes_;
  std::uint64_t n_unweighted_ = 0;
  Progress progress_;
  Result result_;
};

} // namespace

double ClassResult::rms_error() const { return value_sum > 0 ? std::sqrt(error_sum / value_sum) : 0; }

Result convert(const Options& options) { return Conversion(options).run(); }

} // namespace seacliff::convert
