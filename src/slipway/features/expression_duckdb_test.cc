// Property test: random expressions give what DuckDB gives for their translation.
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/features/expression.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

constexpr int kRows = 200;
constexpr int kExpressions = 240;

Schema RowSchema() {
  return {{{"i", Type::kInt64},
           {"d", Type::kDouble},
           {"s", Type::kString},
           {"b", Type::kBoolean},
           {"day", Type::kDate},
           {"t", Type::kTimestamp}}};
}

struct Pair {
  std::string ours, sql;
};

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}
  int Below(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }

  Pair Boolean(int depth) {
    if (depth <= 0) return {"b", "b"};
    switch (Below(9)) {
      case 0:
        return Join(Boolean(depth - 1), " and ", Boolean(depth - 1));
      case 1:
        return Join(Boolean(depth - 1), " or ", Boolean(depth - 1));
      case 2:
        return Wrap("(not ", Boolean(depth - 1), ")");
      case 3:
        return Compare(Int(depth - 1), Double(depth - 1));
      case 4:
        return Compare(Text(depth - 1), Text(depth - 1));
      case 5:
        return Compare({"t", "t"}, {"day", "day"});
      case 6:
        return Wrap("(", Double(depth - 1), Below(2) == 0 ? " is null)" : " is not null)");
      case 7:
        return List(depth);
      default: {
        Pair x = Int(depth - 1), a = Int(depth - 1), b = Int(depth - 1);
        const std::string word = Below(2) == 0 ? " between " : " not between ";
        return {"(" + x.ours + word + a.ours + " and " + b.ours + ")",
                "(" + x.sql + word + a.sql + " and " + b.sql + ")"};
      }
    }
  }

  Pair Int(int depth) {
    if (depth <= 0) {
      if (Below(2) == 0) return {"i", "i"};
      const std::string n = std::to_string(Below(41) - 20);
      return {"(" + n + ")", "(" + n + "::bigint)"};
    }
    switch (Below(10)) {
      case 0:
        return Join(Int(depth - 1), " + ", Int(depth - 1));
      case 1:
        return Join(Int(depth - 1), " - ", Int(depth - 1));
      case 2:
        return Join(Int(depth - 1), " * ", Int(depth - 1));
      case 3:
        return Join(Int(depth - 1), " % ", Int(depth - 1));
      case 4:
        return Wrap("abs(", Int(depth - 1), ")");
      case 5:
        return Wrap("length(", Text(depth - 1), ")");
      case 6:
        return Choice(Boolean(depth - 1), Int(depth - 1), Int(depth - 1));
      case 7:
        return Part();
      case 8:
        return Difference();
      default:
        return Call("coalesce", "coalesce", {Int(depth - 1), Int(depth - 1)});
    }
  }

  Pair Double(int depth) {
    if (depth <= 0) {
      if (Below(2) == 0) return {"d", "d"};
      const std::string n = std::to_string(Below(9)) + ".25";
      return {n, "(" + n + "::double)"};
    }
    switch (Below(13)) {
      case 0:
        return Nan(Join(Double(depth - 1), " + ", Double(depth - 1)));
      case 1:
        return Nan(Join(Double(depth - 1), " - ", Int(depth - 1)));
      case 2:
        return Nan(Join(Double(depth - 1), " * ", Double(depth - 1)));
      case 3:
        return Infix(Double(depth - 1), " / ", Int(depth - 1), "divided");
      case 4:
        return Infix(Double(depth - 1), " % ", Double(depth - 1), "remainder_of");
      case 5:
        return Infix(Double(depth - 1), " ^ ", Int(depth - 1), "power_of");
      case 6:
        return Call("sqrt", "root_of", {Double(depth - 1)});
      case 7:
        return Call("ln", "log_of", {Double(depth - 1)});
      case 8: {
        static const char* kNames[] = {"abs", "floor", "ceil", "round", "exp"};
        const char* name = kNames[Below(5)];
        return Call(name, name, {Double(depth - 1)});
      }
      case 9: {
        const std::string digits = ", " + std::to_string(Below(5) - 2) + ")";
        return Wrap("round(", Double(depth - 1), digits);
      }
      case 10:
        return Below(2) == 0
                   ? Call("min", "least", {Double(depth - 1), Double(depth - 1), Double(depth - 1)})
                   : Call("max", "greatest", {Double(depth - 1), Double(depth - 1)});
      case 11:
        return Call("haversine_km", "haversine",
                    {{"d", "d"}, {"to_double(i)", "i"}, {"40.5", "40.5"}, {"-73.9", "-73.9"}});
      default:
        return Choice(Boolean(depth - 1), Double(depth - 1), Double(depth - 1));
    }
  }

  Pair Text(int depth) {
    if (depth <= 0) return Below(3) != 0 ? Pair{"s", "s"} : Pair{"'aB'", "'aB'"};
    switch (Below(7)) {
      case 0:
        return Call("upper", "upper", {Text(depth - 1)});
      case 1:
        return Call("lower", "lower", {Text(depth - 1)});
      case 2:
        return Call("trim", "trim", {Text(depth - 1)});
      case 3: {
        const std::string place =
            ", " + std::to_string(Below(13) - 6) + ", " + std::to_string(Below(9) - 3) + ")";
        return Wrap("substr(", Text(depth - 1), place);
      }
      case 4: {
        Pair a = Text(depth - 1), b = Int(depth - 1);
        return {"concat(" + a.ours + ", " + b.ours + ")",
                "(" + a.sql + " || " + b.sql + "::varchar)"};
      }
      case 5:
        return Wrap("replace(", Text(depth - 1), ", 'a', 'xy')");
      default:
        return Choice(Boolean(depth - 1), Text(depth - 1), Text(depth - 1));
    }
  }

 private:
  static Pair Wrap(const std::string& before, const Pair& p, const std::string& after) {
    return {before + p.ours + after, before + p.sql + after};
  }
  static Pair Join(const Pair& a, const std::string& op, const Pair& b) {
    return {"(" + a.ours + op + b.ours + ")", "(" + a.sql + op + b.sql + ")"};
  }
  static Pair Nan(const Pair& p) { return {p.ours, "nn(" + p.sql + ")"}; }
  static Pair Infix(const Pair& a, const std::string& op, const Pair& b, const std::string& macro) {
    return {"(" + a.ours + op + b.ours + ")", macro + "(" + a.sql + ", " + b.sql + ")"};
  }
  static Pair Call(const std::string& ours, const std::string& sql, const std::vector<Pair>& args) {
    Pair out{ours + "(", sql + "("};
    for (size_t i = 0; i < args.size(); ++i) {
      out.ours += (i > 0 ? ", " : "") + args[i].ours;
      out.sql += (i > 0 ? ", " : "") + args[i].sql;
    }
    return {out.ours + ")", out.sql + ")"};
  }
  static Pair Choice(const Pair& c, const Pair& a, const Pair& b) {
    return {"if(" + c.ours + ", " + a.ours + ", " + b.ours + ")",
            "(case when " + c.sql + " then " + a.sql + " else " + b.sql + " end)"};
  }
  Pair Compare(const Pair& a, const Pair& b) {
    static const char* kOps[] = {" = ", " != ", " < ", " <= ", " > ", " >= "};
    return Join(a, kOps[Below(6)], b);
  }
  Pair List(int depth) {
    const std::string list = std::string(Below(2) == 0 ? " in (" : " not in (") +
                             std::to_string(Below(9)) + ", " + std::to_string(Below(9)) +
                             (Below(3) == 0 ? ", null)" : ", i)");
    return Wrap("(", Int(depth - 1), list + ")");
  }
  Pair Part() {
    static const char* kParts[] = {"year", "month", "day", "hour", "minute", "second", "weekday"};
    const std::string part = kParts[Below(7)], column = Below(2) == 0 ? "t" : "day";
    return {part + "(" + column + ")",
            (part == "weekday" ? "dayofweek" : part) + "(" + column + "::timestamp)"};
  }
  Pair Difference() {
    static const char* kUnits[] = {"second", "minute", "hour", "day", "week", "month", "year"};
    const std::string unit = kUnits[Below(7)];
    const bool swap = Below(2) == 0;
    return {"date_diff('" + unit + (swap ? "', t, day)" : "', day, t)"),
            "date_diff('" + unit + (swap ? "', t, day::timestamp)" : "', day::timestamp, t)")};
  }

  std::mt19937_64 random_;
};

std::string CellText(Generator& random, int column) {
  static const char* kTexts[] = {"aB", " a b ", "Banana", "x€", "9", "zzz zzz"};
  if (random.Below(6) == 0) return "";
  auto two = [&](int first, int n) {
    const int value = first + random.Below(n);
    return (value < 10 ? "0" : "") + std::to_string(value);
  };
  const std::string date =
      std::to_string(1955 + random.Below(90)) + "-" + two(1, 12) + "-" + two(1, 28);
  switch (column) {
    case 0:
      return std::to_string(random.Below(41) - 20);
    case 1:
      return std::to_string(random.Below(4001) - 2000) + "e-2";
    case 2:
      return kTexts[random.Below(6)];
    case 3:
      return random.Below(2) == 0 ? "true" : "false";
    case 4:
      return date;
    default:
      return date + " " + two(0, 24) + ":" + two(0, 60) + ":" + two(0, 60) + "." + two(0, 100);
  }
}

// Doubles to 1e-12 of their size, everything else exactly.
bool Same(Column& got, int row, const Json& wanted) {
  if (!got.valid(row) || wanted.is_null()) return !got.valid(row) && wanted.is_null();
  switch (got.type()) {
    case Type::kBoolean:
      return wanted.is_boolean() && (got.booleans()[row] != 0) == wanted.get<bool>();
    case Type::kInt64:
      return wanted.is_number() && got.ints()[row] == wanted.get<int64_t>();
    case Type::kDouble: {
      auto theirs = DoubleFromJson(wanted);
      if (!theirs.ok()) return false;
      const double ours = got.doubles()[row];
      return ours == *theirs ||
             std::fabs(ours - *theirs) <= 1e-12 * std::max(1.0, std::fabs(*theirs));
    }
    default:
      return wanted.is_string() && got.strings()[row] == wanted.get<std::string>();
  }
}

TEST(ExpressionDuckDb, RandomExpressionsEqualTheirTranslation) {
  const std::string source = SLIPWAY_SOURCE_DIR, python = source + "/.venv/bin/python";
  if (!PathExists(python)) GTEST_SKIP() << "NOT CHECKED against DuckDB: there is no " << python;
  Generator random(20150507);
  OwnedBatch batch(RowSchema());
  batch.rows = kRows;
  Json work = {{"rows", Json::array()}, {"expressions", Json::array()}};
  std::vector<std::vector<std::string>> cells(kRows);
  for (int row = 0; row < kRows; ++row) {
    Json line = Json::array();
    for (int column = 0; column < 6; ++column) {
      cells[static_cast<size_t>(row)].push_back(CellText(random, column));
      const std::string& text = cells[static_cast<size_t>(row)].back();
      line.push_back(text.empty() ? Json() : Json(text));
    }
    for (int column = 0; column < 6; ++column) {
      ASSERT_TRUE(ParseCellInto(cells[static_cast<size_t>(row)][static_cast<size_t>(column)], row,
                                &batch.column(column)));
    }
    work["rows"].push_back(std::move(line));
  }
  std::vector<Pair> pairs;
  for (int i = 0; i < kExpressions; ++i) {
    const int depth = 1 + i % 4;
    pairs.push_back(i % 4 == 0   ? random.Boolean(depth)
                    : i % 4 == 1 ? random.Double(depth)
                    : i % 4 == 2 ? random.Int(depth)
                                 : random.Text(depth));
    work["expressions"].push_back(pairs.back().sql);
  }
  auto dir = TempDir::Make();
  ASSERT_TRUE(dir.ok());
  ASSERT_TRUE(WriteFileAtomic(dir->File("in.json"), DumpJson(work)).ok());
  const std::string command = "'" + python + "' '" + source +
                              "/tests/tools/duckdb_expressions.py' '" + dir->File("in.json") +
                              "' '" + dir->File("out.json") + "'";
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  auto text = ReadFile(dir->File("out.json"));
  ASSERT_TRUE(text.ok());
  auto answers = ParseJson(*text);
  ASSERT_TRUE(answers.ok());
  ExpressionScratch scratch;
  Column out;
  int present = 0;
  for (size_t i = 0; i < pairs.size(); ++i) {
    auto expression = Expression::Compile(pairs[i].ours, batch.schema());
    ASSERT_TRUE(expression.ok()) << expression.error().message << "\n" << pairs[i].ours;
    expression->Evaluate(batch.View(), &scratch, &out);
    for (int row = 0; row < kRows; ++row) {
      std::string ours;
      if (out.valid(row)) AppendCell(out.View(), row, &ours);
      present += out.valid(row) ? 1 : 0;
      const Json& wanted = (*answers)[i][static_cast<size_t>(row)];
      ASSERT_TRUE(Same(out, row, wanted))
          << pairs[i].ours << "\n"
          << pairs[i].sql << "\nrow " << work["rows"][static_cast<size_t>(row)].dump() << "\nours "
          << ours << ", DuckDB " << wanted.dump();
    }
  }
  EXPECT_GT(present, kRows * kExpressions / 3) << "the expressions should not be mostly null";
}

}  // namespace
}  // namespace slipway
