#include "plugins/loader/elf.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <elf.h>
#include <fstream>
#include <optional>

namespace seacliff::plugins {
namespace {

/// Reads at offsets that the file itself gives: every one is checked against its size.
class File {
public:
  explicit File(const std::filesystem::path& path) : in_(path, std::ios::binary | std::ios::ate) {
    if (in_) size_ = static_cast<std::uint64_t>(in_.tellg());
  }

  template <typename T> std::optional<T> read(std::uint64_t offset) {
    T item;
    if (offset > size_ || sizeof(T) > size_ - offset) return std::nullopt;
    in_.seekg(static_cast<std::streamoff>(offset));
    in_.read(reinterpret_cast<char*>(&item), sizeof item);
    if (!in_) return std::nullopt;
    return item;
  }

  std::string text(std::uint64_t offset) {
    std::string result;
    if (offset >= size_) return result;
    in_.seekg(static_cast<std::streamoff>(offset));
    std::getline(in_, result, '\0');
    in_.clear();
    return result;
  }

private:
  std::ifstream in_;
  std::uint64_t size_ = 0;
};

} // namespace

std::vector<std::string> needed_libraries(const std::filesystem::path& path) {
  constexpr std::uint64_t k_max_entries = 4096; // of the dynamic section; real ones have a few dozen
  std::vector<std::string> names;
  File file(path);
  const auto elf = file.read<Elf64_Ehdr>(0);
  if (!elf || std::memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 || elf->e_ident[EI_CLASS] != ELFCLASS64) return names;

  std::vector<Elf64_Phdr> segments;
  for (std::uint64_t i = 0; i < elf->e_phnum; ++i)
    if (const auto segment = file.read<Elf64_Phdr>(elf->e_phoff + i * elf->e_phentsize)) segments.push_back(*segment);
  const auto file_offset = [&](std::uint64_t address) -> std::uint64_t {
    for (const Elf64_Phdr& s : segments)
      if (s.p_type == PT_LOAD && address >= s.p_vaddr && address - s.p_vaddr < s.p_filesz)
        return s.p_offset + (address - s.p_vaddr);
    return ~std::uint64_t{0};
  };
  const auto dynamic =
      std::find_if(segments.begin(), segments.end(), [](const Elf64_Phdr& s) { return s.p_type == PT_DYNAMIC; });
  if (dynamic == segments.end()) return names;

  std::vector<std::uint64_t> needed;
  std::uint64_t strings = ~std::uint64_t{0};
  const std::uint64_t entries = std::min<std::uint64_t>(dynamic->p_filesz / sizeof(Elf64_Dyn), k_max_entries);
  for (std::uint64_t i = 0; i < entries; ++i) {
    const auto entry = file.read<Elf64_Dyn>(dynamic->p_offset + i * sizeof(Elf64_Dyn));
    if (!entry || entry->d_tag == DT_NULL) break;
    if (entry->d_tag == DT_NEEDED) needed.push_back(entry->d_un.d_val);
    if (entry->d_tag == DT_STRTAB) strings = file_offset(entry->d_un.d_ptr);
  }
  if (strings == ~std::uint64_t{0}) return names;
  for (const std::uint64_t offset : needed) names.push_back(file.text(strings + offset));
  return names;
}

std::optional<std::vector<std::string>> exported_symbols(const std::filesystem::path& path) {
  constexpr std::uint64_t k_max_symbols = 1 << 20; // more is a broken file
  File file(path);
  const auto elf = file.read<Elf64_Ehdr>(0);
  if (!elf || std::memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 || elf->e_ident[EI_CLASS] != ELFCLASS64)
    return std::nullopt;
  const auto section = [&](std::uint64_t i) { return file.read<Elf64_Shdr>(elf->e_shoff + i * elf->e_shentsize); };
  for (std::uint64_t s = 0; s < elf->e_shnum; ++s) {
    const auto table = section(s);
    if (!table || table->sh_type != SHT_DYNSYM || table->sh_entsize < sizeof(Elf64_Sym)) continue;
    const auto strings = section(table->sh_link);
    if (!strings) return std::nullopt;
    std::vector<std::string> names;
    const std::uint64_t count = std::min(table->sh_size / table->sh_entsize, k_max_symbols);
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto symbol = file.read<Elf64_Sym>(table->sh_offset + i * table->sh_entsize);
      if (!symbol) return std::nullopt;
      const auto visibility = ELF64_ST_VISIBILITY(symbol->st_other);
      const bool visible = visibility == STV_DEFAULT || visibility == STV_PROTECTED;
      if (symbol->st_shndx != SHN_UNDEF && ELF64_ST_BIND(symbol->st_info) != STB_LOCAL && visible)
        names.push_back(file.text(strings->sh_offset + symbol->st_name));
    }
    return names;
  }
  return std::nullopt;
}

} // namespace seacliff::plugins
