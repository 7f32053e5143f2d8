// Boost.DLL 1.74 has library_info for this, but it reads .symtab, which stripping removes, takes names from whichever string
// table comes last, and trusts every offset of the file; plugins are files that users bring.
#include "plugin/exports.h"

#include <elf.h>
#include <holdfast/error.h>

#include <cstring>
#include <optional>

namespace holdfast {
namespace {

class ElfReader {
 public:
  explicit ElfReader(const fs::path& path) : file_(path) {
    if (file_.size() < sizeof(header_) || std::memcmp(file_.data(), ELFMAG, SELFMAG) != 0) {
      throw Error(path.string() + " is not a shared library");
    }
    header_ = at<Elf64_Ehdr>(0);
    if (header_.e_ident[EI_CLASS] != ELFCLASS64 || header_.e_ident[EI_DATA] != ELFDATA2LSB || header_.e_machine != kMachine ||
        header_.e_type != ET_DYN) {
      throw Error(path.string() + " is not a shared library for this kind of machine");
    }
  }

  std::vector<std::string> exported() const {
    // All sections are looked at, which tells a file that was cut; a library has one such table.
    std::optional<Elf64_Shdr> symbols;
    for (std::uint64_t i = 0; i < header_.e_shnum; ++i) {
      const Elf64_Shdr table = section(i);
      if (table.sh_type == SHT_DYNSYM && !symbols) symbols = table;
    }
    std::vector<std::string> names;
    if (symbols) add_exported(*symbols, section(symbols->sh_link), names);
    return names;
  }

 private:
#if defined(__x86_64__)
  static constexpr Elf64_Half kMachine = EM_X86_64;
#elif defined(__aarch64__)
  static constexpr Elf64_Half kMachine = EM_AARCH64;
#endif

  template <typename T>
  T at(std::uint64_t offset) const {
    if (offset > file_.size() || file_.size() - offset < sizeof(T)) {
      throw Error(file_.path().string() + " is not a whole shared library: it is cut short or damaged");
    }
    T value;
    std::memcpy(&value, file_.data() + offset, sizeof(T));  // the file promises no alignment
    return value;
  }

  Elf64_Shdr section(std::uint64_t index) const { return at<Elf64_Shdr>(header_.e_shoff + index * sizeof(Elf64_Shdr)); }

  void add_exported(const Elf64_Shdr& table, const Elf64_Shdr& texts, std::vector<std::string>& names) const {
    constexpr std::uint64_t kMostShared = 64;
    std::uint64_t bytes = 0;
    for (std::uint64_t at_byte = 0; at_byte + sizeof(Elf64_Sym) <= table.sh_size; at_byte += sizeof(Elf64_Sym)) {
      const auto symbol = at<Elf64_Sym>(table.sh_offset + at_byte);
      const bool is_defined = symbol.st_shndx != SHN_UNDEF && ELF64_ST_BIND(symbol.st_info) != STB_LOCAL;
      if (!is_defined) continue;
      names.push_back(text(texts.sh_offset + symbol.st_name));
      // Names may share their ends; a file whose every name is all of it would take the square of its size.
      bytes += names.back().size();
      if (bytes / kMostShared > file_.size()) {
        throw Error(file_.path().string() + " is not a whole shared library: its symbols' names take more room than it has");
      }
    }
  }

  std::string text(std::uint64_t offset) const {
    at<char>(offset);
    const char* begin = reinterpret_cast<const char*>(file_.data()) + offset;
    return {begin, strnlen(begin, file_.size() - offset)};
  }

  MappedFile file_;
  Elf64_Ehdr header_;
};

}  // namespace

std::vector<std::string> exported_symbols(const fs::path& path) { return ElfReader(path).exported(); }

}  // namespace holdfast
