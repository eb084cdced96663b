#include "slipway/features/expression.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "slipway/table/cell.h"

namespace slipway {
namespace {

Schema OneRowSchema() {
  return {{{"i", Type::kInt64},
           {"d", Type::kDouble},
           {"s", Type::kString},
           {"b", Type::kBoolean},
           {"day", Type::kDate},
           {"t", Type::kTimestamp},
           {"Trip Distance", Type::kDouble},
           {"j", Type::kInt64},
           {"passenger_count", Type::kInt64}}};
}

// One row: i=7 d=2.5 s='Ärger  ' b=true day=2015-05-07 t=2015-05-07 19:52:06.5, j and
// passenger_count null.
class OneRow {
 public:
  OneRow() : batch_(OneRowSchema()) {
    batch_.rows = 1;
    const char* cells[] = {"7", "2.5", "Ärger  ", "true", "2015-05-07", "2015-05-07 19:52:06.5",
                           "3", "",    ""};
    for (int i = 0; i < batch_.schema().size(); ++i)
      EXPECT_TRUE(ParseCellInto(cells[i], 0, &batch_.column(i)));
  }
  Batch View() { return batch_.View(); }

 private:
  OwnedBatch batch_;
};

// "type:value", "type:null", or the error's message and hint.
std::string Eval(const std::string& text) {
  OneRow row;
  auto expression = Expression::Compile(text, OneRowSchema());
  if (!expression.ok())
    return "error: " + expression.error().message + " | " + expression.error().hint;
  ExpressionScratch scratch;
  Column out;
  expression->Evaluate(row.View(), &scratch, &out);
  EXPECT_EQ(out.type(), expression->type());
  std::string value(TypeName(expression->type()));
  value += ":";
  if (!out.valid(0)) return value + "null";
  AppendCell(out.View(), 0, &value);
  return value;
}

TEST(Expression, OperatorsBindAndGroupAsWritten) {
  EXPECT_EQ(Eval("1 + 2 * 3"), "int64:7");
  EXPECT_EQ(Eval("(1 + 2) * 3"), "int64:9");
  EXPECT_EQ(Eval("10 - 4 - 3"), "int64:3");
  EXPECT_EQ(Eval("2 ^ 3 ^ 2"), "double:512");
  EXPECT_EQ(Eval("-2 ^ 2"), "double:-4");
  EXPECT_EQ(Eval("2 ^ -1"), "double:0.5");
  EXPECT_EQ(Eval("-i * 2"), "int64:-14");
  EXPECT_EQ(Eval("- - i"), "int64:7");
  EXPECT_EQ(Eval("not i = 7 or b"), "boolean:true");
  EXPECT_EQ(Eval("true or false and false"), "boolean:true");
  EXPECT_EQ(Eval("i between 1 and 7 and not b"), "boolean:false");
  EXPECT_EQ(Eval("not b and false or true"), "boolean:true");
  EXPECT_EQ(Eval("1 + 1 = 2 AND NOT 3 < 2"), "boolean:true");
}

TEST(Expression, LiteralsHaveTheirTypes) {
  EXPECT_EQ(Eval("1.5"), "double:1.5");
  EXPECT_EQ(Eval("1e3"), "double:1000");
  EXPECT_EQ(Eval(".5"), "double:0.5");
  EXPECT_EQ(Eval("'it''s'"), "string:it's");
  EXPECT_EQ(Eval("''"), "string:");
  EXPECT_EQ(Eval("True"), "boolean:true");
  EXPECT_EQ(Eval("date '2015-05-07'"), "date:2015-05-07");
  EXPECT_EQ(Eval("timestamp '2015-05-07 19:52:06'"), "timestamp:2015-05-07T19:52:06Z");
  EXPECT_EQ(Eval("\"Trip Distance\" * 2"), "double:6");
  EXPECT_EQ(Eval("day"), "date:2015-05-07");
  EXPECT_EQ(Eval("day(day)"), "int64:7");
}

TEST(Expression, Int64StaysInt64AndOverflowIsNull) {
  EXPECT_EQ(Eval("i + 1"), "int64:8");
  EXPECT_EQ(Eval("i * 2 - 20"), "int64:-6");
  EXPECT_EQ(Eval("9223372036854775807 + 1"), "int64:null");
  EXPECT_EQ(Eval("-9223372036854775807 - 2"), "int64:null");
  EXPECT_EQ(Eval("9223372036854775807 * i"), "int64:null");
  EXPECT_EQ(Eval("-(-9223372036854775807 - 1)"), "int64:null");
  EXPECT_EQ(Eval("abs(-9223372036854775807 - 1)"), "int64:null");
  EXPECT_EQ(Eval("(-9223372036854775807 - 1) % -1"), "int64:0");
  EXPECT_EQ(Eval("i + d"), "double:9.5");
  EXPECT_EQ(Eval("i / 2"), "double:3.5");
  EXPECT_EQ(Eval("-7 % 3"), "int64:-1");
  EXPECT_EQ(Eval("-7.5 % 2"), "double:-1.5");
}

TEST(Expression, UndefinedResultsAreNullAndOverflowIsInfinite) {
  for (const char* text :
       {"1 / 0", "d / 0", "0.0 / 0", "5.5 % 0", "sqrt(-d)", "ln(0)", "ln(-1)", "log10(0)",
        "(-8) ^ (1 / 3)", "0 ^ -1", "to_double('nan')", "exp(1000) - exp(1000)"}) {
    EXPECT_EQ(Eval(text), "double:null") << text;
  }
  EXPECT_EQ(Eval("5 % 0"), "int64:null");
  EXPECT_EQ(Eval("exp(1000)"), "double:inf");
  EXPECT_EQ(Eval("-1e308 * 10"), "double:-inf");
  EXPECT_EQ(Eval("to_int(1e300)"), "int64:null");
}

TEST(Expression, NullsSpreadExceptWhereSqlSaysOtherwise) {
  for (const char* text : {"j + 1", "null + 1", "-j", "abs(j)", "round(j)"})
    EXPECT_EQ(Eval(text), "int64:null") << text;
  for (const char* text :
       {"j = 1", "j != j", "null = null", "not (j > 1)", "j in (1, 2)", "i in (1, null)",
        "i not in (1, null)", "j between 1 and 2", "b and j = 1", "false or j = 1"}) {
    EXPECT_EQ(Eval(text), "boolean:null") << text;
  }
  EXPECT_EQ(Eval("false and j = 1"), "boolean:false");
  EXPECT_EQ(Eval("j = 1 or true"), "boolean:true");
  EXPECT_EQ(Eval("i in (7, null)"), "boolean:true");
  EXPECT_EQ(Eval("i not in (j, 7)"), "boolean:false");
  EXPECT_EQ(Eval("i in (j, 8)"), "boolean:null");
  EXPECT_EQ(Eval("1 between j and 0"), "boolean:false");
  EXPECT_EQ(Eval("j is null"), "boolean:true");
  EXPECT_EQ(Eval("j is not null"), "boolean:false");
  EXPECT_EQ(Eval("null is null"), "boolean:true");
  EXPECT_EQ(Eval("coalesce(j, null, 5)"), "int64:5");
  EXPECT_EQ(Eval("coalesce(j, 1.5)"), "double:1.5");
  EXPECT_EQ(Eval("if(j > 1, 'yes', 'no')"), "string:no");
  EXPECT_EQ(Eval("if(b, null, 3)"), "int64:null");
  EXPECT_EQ(Eval("min(j, 3, 2.5)"), "double:2.5");
  EXPECT_EQ(Eval("max(j, null, i)"), "int64:7");
  EXPECT_EQ(Eval("max(j, j)"), "int64:null");
  EXPECT_EQ(Eval("concat('a', j)"), "string:null");
}

TEST(Expression, NaNInADataColumnIsANull) {
  Schema schema{{{"x", Type::kDouble}}};
  OwnedBatch batch(schema);
  batch.rows = 3;
  const double values[] = {1, std::numeric_limits<double>::quiet_NaN(),
                           std::numeric_limits<double>::infinity()};
  for (int row = 0; row < 3; ++row) {
    batch.column(0).doubles()[row] = values[row];
    batch.column(0).SetValid(row);
  }
  ExpressionScratch scratch;
  Column out;
  auto missing = Expression::Compile("x is null", schema);
  ASSERT_TRUE(missing.ok());
  missing->Evaluate(batch.View(), &scratch, &out);
  EXPECT_EQ(out.booleans()[0] + out.booleans()[1] * 2 + out.booleans()[2] * 4, 2);
  auto itself = Expression::Compile("x", schema);
  itself->Evaluate(batch.View(), &scratch, &out);
  EXPECT_TRUE(out.valid(0));
  EXPECT_FALSE(out.valid(1));
  EXPECT_TRUE(out.valid(2));
}

TEST(Expression, ComparesEqualTypesAndMixesNumbersAndTimes) {
  EXPECT_EQ(Eval("i = 7.0"), "boolean:true");
  EXPECT_EQ(Eval("i <> 7"), "boolean:false");
  EXPECT_EQ(Eval("i == 7"), "boolean:true");
  EXPECT_EQ(Eval("t > day"), "boolean:true");
  EXPECT_EQ(Eval("t = timestamp '2015-05-07 19:52:06.5'"), "boolean:true");
  EXPECT_EQ(Eval("'Z' < 'a'"), "boolean:true");
  EXPECT_EQ(Eval("s in ('x', concat('Ärger', '  '))"), "boolean:true");
  EXPECT_EQ(Eval("b = true"), "boolean:true");
  EXPECT_EQ(Eval("day in (date '2015-05-07')"), "boolean:true");
  EXPECT_EQ(Eval("i not between 8 and 9"), "boolean:true");
  EXPECT_EQ(Eval("day - date '2015-05-01'"), "int64:6");
}

TEST(Expression, MathFunctionsComputeAsNamed) {
  EXPECT_EQ(Eval("abs(-d)"), "double:2.5");
  EXPECT_EQ(Eval("abs(-3)"), "int64:3");
  EXPECT_EQ(Eval("sqrt(i + 2)"), "double:3");
  EXPECT_EQ(Eval("exp(0)"), "double:1");
  EXPECT_EQ(Eval("ln(1)"), "double:0");
  EXPECT_EQ(Eval("log10(1000)"), "double:3");
  EXPECT_EQ(Eval("floor(-2.5)"), "double:-3");
  EXPECT_EQ(Eval("ceil(2.1)"), "double:3");
  EXPECT_EQ(Eval("floor(i)"), "int64:7");
  EXPECT_EQ(Eval("round(2.5)"), "double:3");
  EXPECT_EQ(Eval("round(-2.5)"), "double:-3");
  EXPECT_EQ(Eval("round(1234.567, 2)"), "double:1234.57");
  EXPECT_EQ(Eval("round(1234.567, -2)"), "double:1200");
  EXPECT_EQ(Eval("round(125, -1)"), "int64:130");
  EXPECT_EQ(Eval("round(-125, -1)"), "int64:-130");
  EXPECT_EQ(Eval("round(9223372036854775807, -1)"), "int64:null");
  EXPECT_EQ(Eval("round(2.5, 400)"), "double:2.5");
  EXPECT_EQ(Eval("round(haversine_km(40.7128, -74.0060, 51.5074, -0.1278), 2)"), "double:5570.23");
  EXPECT_EQ(Eval("haversine_km(90, 0, -90, 0) > 20015"), "boolean:true");
  EXPECT_EQ(Eval("haversine_km(0, 0, 0, 180)"), Eval("haversine_km(0, -90, 0, 90)"));
}

TEST(Expression, TextFunctionsCountCodePointsAndCompareBytes) {
  EXPECT_EQ(Eval("length(s)"), "int64:7");
  EXPECT_EQ(Eval("trim(s)"), "string:Ärger");
  EXPECT_EQ(Eval("upper(trim(s))"), "string:ÄRGER");
  EXPECT_EQ(Eval("lower('ÄBC')"), "string:Äbc");
  EXPECT_EQ(Eval("substr(s, 2, 3)"), "string:rge");
  EXPECT_EQ(Eval("substr(s, 1, 1)"), "string:Ä");
  EXPECT_EQ(Eval("substr('hello', 0, 2)"), "string:h");
  EXPECT_EQ(Eval("substr('hello', -2)"), "string:lo");
  EXPECT_EQ(Eval("substr('hello', -10, 8)"), "string:hel");
  EXPECT_EQ(Eval("substr('hello', 4, -2)"), "string:el");
  EXPECT_EQ(Eval("substr('hello', 9)"), "string:");
  EXPECT_EQ(Eval("substr('hello', 1, 9223372036854775807)"), "string:hello");
  EXPECT_EQ(Eval("concat(i, '-', d, '-', b, '-', day)"), "string:7-2.5-true-2015-05-07");
  EXPECT_EQ(Eval("contains(s, 'rge')"), "boolean:true");
  EXPECT_EQ(Eval("starts_with(s, 'rge')"), "boolean:false");
  EXPECT_EQ(Eval("ends_with('abc', 'bc')"), "boolean:true");
  EXPECT_EQ(Eval("replace('aXbX', 'X', '--')"), "string:a--b--");
  EXPECT_EQ(Eval("replace('aaa', '', 'b')"), "string:aaa");
}

TEST(Expression, TextsOverOneMebibyteAreNull) {
  std::string doubling = "'0123456789abcdef'";  // 16 bytes; 17 doublings are 2 MiB
  for (int i = 0; i < 17; ++i)
    doubling = "replace(replace(" + doubling + ", '0', '0x'), 'x', '0123456789abcdef')";
  EXPECT_EQ(Eval("length(" + doubling + ")").substr(0, 6), "int64:");
  std::string sixteen = "concat(s, s)";
  for (int i = 0; i < 18; ++i) sixteen = "replace(" + sixteen + ", 'r', 'rrrrrrrr')";
  EXPECT_EQ(Eval(sixteen), "string:null");
}

TEST(Expression, TimePartsAreUtcAlsoBefore1970) {
  EXPECT_EQ(Eval("year(t) * 10000 + month(t) * 100 + day(t)"), "int64:20150507");
  EXPECT_EQ(Eval("hour(t) * 10000 + minute(t) * 100 + second(t)"), "int64:195206");
  EXPECT_EQ(Eval("hour(day)"), "int64:0");
  EXPECT_EQ(Eval("weekday(t)"), "int64:4");  // a Thursday
  EXPECT_EQ(Eval("weekday(date '2024-01-07')"), "int64:0");
  EXPECT_EQ(Eval("year(timestamp '1969-12-31 23:59:59.9')"), "int64:1969");
  EXPECT_EQ(Eval("minute(timestamp '1969-12-31 23:59:59.9')"), "int64:59");
  EXPECT_EQ(Eval("weekday(date '1969-12-28')"), "int64:0");
  EXPECT_EQ(Eval("day(date '2000-02-29') + day(date '1900-02-28')"), "int64:57");
}

TEST(Expression, DateDiffCountsBoundaries) {
  EXPECT_EQ(Eval("date_diff('year', date '2015-12-31', date '2016-01-01')"), "int64:1");
  EXPECT_EQ(Eval("date_diff('month', date '2024-01-31', date '2024-02-01')"), "int64:1");
  EXPECT_EQ(Eval("date_diff('DAY', t, timestamp '2015-05-08 00:00:00')"), "int64:1");
  EXPECT_EQ(
      Eval("date_diff('hour', timestamp '1969-12-31 23:59:59', timestamp '1970-01-01 00:00:01')"),
      "int64:1");
  EXPECT_EQ(Eval("date_diff('second', timestamp '1969-12-31 23:59:59.5', timestamp '1970-01-01 "
                 "00:00:01')"),
            "int64:2");
  EXPECT_EQ(Eval("date_diff('minute', t, day)"), "int64:-1192");
  EXPECT_EQ(Eval("date_diff('week', date '2024-01-01', date '2024-01-15')"), "int64:2");
  EXPECT_EQ(Eval("date_diff('week', date '2024-01-08', date '2024-01-02')"), "int64:0");
}

TEST(Expression, ParseTimestampFollowsTheCellGrammarOrTheFormat) {
  EXPECT_EQ(Eval("parse_timestamp('2015-05-07 19:52:06 UTC')"), "timestamp:2015-05-07T19:52:06Z");
  EXPECT_EQ(Eval("parse_timestamp('rubbish')"), "timestamp:null");
  EXPECT_EQ(Eval("parse_timestamp('07/05/2015 19:52', '%d/%m/%Y %H:%M')"),
            "timestamp:2015-05-07T19:52:00Z");
  EXPECT_EQ(Eval("parse_timestamp('20150507195206.25', '%Y%m%d%H%M%S.%f')"),
            "timestamp:2015-05-07T19:52:06.250000Z");
  EXPECT_EQ(Eval("parse_timestamp('30/02/2015', '%d/%m/%Y')"), "timestamp:null");
  EXPECT_EQ(Eval("parse_timestamp('01/02/2015 x', '%d/%m/%Y')"), "timestamp:null");
  EXPECT_EQ(Eval("parse_timestamp('24:00', '%H:%M')"), "timestamp:null");
}

TEST(Expression, ConversionsFollowTheCellGrammar) {
  EXPECT_EQ(Eval("to_double(' 1e3 ')"), "double:1000");
  EXPECT_EQ(Eval("to_double(i)"), "double:7");
  EXPECT_EQ(Eval("to_double(b)"), "double:1");
  EXPECT_EQ(Eval("to_double('x')"), "double:null");
  EXPECT_EQ(Eval("to_int('5.0')"), "int64:5");
  EXPECT_EQ(Eval("to_int(-2.9)"), "int64:-2");
  EXPECT_EQ(Eval("to_string(1.5)"), "string:1.5");
  EXPECT_EQ(Eval("to_string(t)"), "string:2015-05-07T19:52:06.500000Z");
  EXPECT_EQ(Eval("to_double(null)"), "double:null");
}

struct ErrorCase {
  const char* text;
  const char* message;  // part of it
  const char* hint;     // part of it
};

TEST(Expression, ErrorsSayWhereAndHowToPutItRight) {
  const ErrorCase cases[] = {
      {"", "the expression is empty", ""},
      {"  ", "the expression is empty", ""},
      {"i + passenger_cout", "no column 'passenger_cout' in the data at column 5",
       "did you mean 'passenger_count'?"},
      {"lenght(s)", "no function 'lenght' at column 1", "did you mean 'length'?"},
      {"neg(i)", "no function 'neg'", ""},
      {"substr(s)", "'substr' got 1 argument at column 1", "substr(text, start)"},
      {"sqrt()", "'sqrt' got 0 arguments", "sqrt(x)"},
      {"s = 5", "'=' cannot compare string and int64 at column 3", "to_double(x)"},
      {"s in ('a', 5)", "'in' cannot compare string and int64 at column 3", ""},
      {"t > '2015-01-01'", "cannot compare timestamp and string", "timestamp '2015-05-07"},
      {"b = 1", "cannot compare boolean and int64", "true or false"},
      {"s + 1", "'+' takes numbers, not string and int64 at column 3", "concat"},
      {"day + 1", "'+' takes numbers, not date and int64", "date_diff"},
      {"i and b", "'and' takes conditions, not int64 and boolean at column 3", "compare the value"},
      {"upper(i)", "'upper' takes a string, not int64 at column 7", "to_string"},
      {"sqrt(s)", "'sqrt' takes a number, not string at column 6", "to_double"},
      {"substr(s, d)", "as argument 2, not double at column 11", "to_int"},
      {"if(i, 1, 2)", "'if' takes a condition first, not int64 at column 4", ""},
      {"if(b, 1, 'x')", "'if' cannot choose between int64 and string", ""},
      {"'abc", "the text that begins with ' is not closed, at column 1", "twice"},
      {"\"abc", "the column name that begins with \" is not closed", ""},
      {"(1 + 2", "the '(' is not closed at column 1", ""},
      {"1 + 2)", "found ')' at column 6", ""},
      {"1 2", "expected the end or an operator, found '2' at column 3", ""},
      {"1 +", "ends where a value is expected, at column 4", ""},
      {"* 2", "expected a value, found '*' at column 1", ""},
      {"1 < i < 9", "cannot be chained at column 7", "between"},
      {"a && b", "'&&' is not an operator at column 3", "write and"},
      {"s || 'x'", "'||' is not an operator", "concat"},
      {"i is 5", "expected 'null', found '5'", ""},
      {"i not 5", "'in' or 'between'", ""},
      {"i in ()", "the list of 'in' is empty", ""},
      {"99999999999999999999", "does not fit int64", "99999999999999999999.0"},
      {"1e999", "out of range", ""},
      {"2nd", "directly followed by 'n'", "double quotes"},
      {"null", "always null", "to_double(null)"},
      {"if(b, null, null)", "both branches", ""},
      {"date '2015-02-30'", "'2015-02-30' is not a date at column 6", ""},
      {"date_diff('dy', day, t)", "no unit 'dy' at column 11", "'day'"},
      {"date_diff(s, day, t)", "must be a text in quotes", "'second'"},
      {"parse_timestamp(s, '%Q')", "'%Q'", "%Y"},
      {"parse_timestamp(t)", "takes a text, not timestamp", "already"},
      {"ärger + (i @ 2)", "unexpected character '@' at column 12", ""},
      {"i +\n  foo", "at line 2, column 3", ""},
      {"or", "expected a value, found 'or'", "\"or\""},
  };
  for (const ErrorCase& c : cases) {
    auto compiled = Expression::Compile(c.text, OneRowSchema());
    ASSERT_FALSE(compiled.ok()) << c.text;
    EXPECT_EQ(compiled.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(compiled.error().message, testing::HasSubstr(c.message)) << c.text;
    EXPECT_THAT(compiled.error().hint, testing::HasSubstr(c.hint)) << c.text;
  }
}

TEST(Expression, LimitsAreErrorsNotCrashes) {
  auto error = [](const std::string& text) {
    auto compiled = Expression::Compile(text, OneRowSchema());
    return compiled.ok() ? std::string("compiled") : compiled.error().message;
  };
  EXPECT_THAT(error(std::string(60000, '(')), testing::HasSubstr("deeper than 200"));
  EXPECT_THAT(error(std::string(60000, '-') + "1"), testing::HasSubstr("deeper than 200"));
  std::string sum = "i";
  for (int i = 0; i < 150; ++i) sum += " + i";
  EXPECT_EQ(error(sum), "compiled");
  for (int i = 0; i < 150; ++i) sum += " + i";
  EXPECT_THAT(error(sum), testing::HasSubstr("deeper than 200"));
  EXPECT_THAT(error(std::string(70000, ' ')), testing::HasSubstr("64 KiB"));
  std::string many = "concat(to_string(i)";
  for (int i = 0; i < 400; ++i) many += ", to_string(i)";
  EXPECT_THAT(error(many + ")"), testing::HasSubstr("256 values"));
  EXPECT_THAT(error("'\xff'"), testing::HasSubstr("UTF-8"));
  std::string list = "i in (0";
  for (int i = 0; i < 9000; ++i) list += "," + std::to_string(i);
  EXPECT_EQ(error(list + ")"), "compiled");
}

TEST(Expression, ColumnsListsWhatIsReadAscending) {
  auto e = Expression::Compile("if(t > day, i + d, i * \"Trip Distance\")", OneRowSchema());
  ASSERT_TRUE(e.ok()) << e.error().message;
  EXPECT_THAT(e->columns(), testing::ElementsAre(0, 1, 4, 5, 6));
  EXPECT_EQ(e->text(), "if(t > day, i + d, i * \"Trip Distance\")");
}

// The same rows in one batch, in many, and through a scratch warmed by other expressions: the same
// bits.
TEST(Expression, AnswersDoNotDependOnTheBatchOrTheScratch) {
  Schema schema{{{"x", Type::kDouble}, {"s", Type::kString}, {"n", Type::kInt64}}};
  OwnedBatch all(schema);
  all.rows = kBatchRows;
  std::mt19937_64 random(7);
  for (int row = 0; row < kBatchRows; ++row) {
    all.column(0).doubles()[row] = static_cast<double>(random() % 1000) / 7 - 50;
    all.column(1).strings()[row] = all.column(1).Intern("row " + std::to_string(random() % 50));
    all.column(2).ints()[row] = static_cast<int64_t>(random() % 100);
    for (int c = 0; c < 3; ++c) {
      if (random() % 5 != 0) all.column(c).SetValid(row);
    }
  }
  ExpressionScratch shared;
  for (const char* text :
       {"x * 2 + n", "concat(upper(s), '/', n)", "if(x > 0, ln(x), exp(x))", "x between 0 and n",
        "s in ('row 1', 'row 2') or n > 50", "coalesce(s, to_string(n), 'none')", "min(x, n, 3)"}) {
    auto e = Expression::Compile(text, schema);
    ASSERT_TRUE(e.ok()) << e.error().message;
    Column whole;
    e->Evaluate(all.View(), &shared, &whole);
    for (int begin = 0; begin < kBatchRows; begin += 93) {
      OwnedBatch part(schema);
      part.rows = std::min(93, kBatchRows - begin);
      for (int row = 0; row < part.rows; ++row) {
        part.column(0).doubles()[row] = all.column(0).doubles()[begin + row];
        part.column(1).strings()[row] = all.column(1).strings()[begin + row];
        part.column(2).ints()[row] = all.column(2).ints()[begin + row];
        for (int c = 0; c < 3; ++c) {
          if (all.column(c).valid(begin + row)) part.column(c).SetValid(row);
        }
      }
      ExpressionScratch fresh;
      Column piece;
      e->Evaluate(part.View(), &fresh, &piece);
      for (int row = 0; row < part.rows; ++row) {
        ASSERT_EQ(piece.valid(row), whole.valid(begin + row)) << text;
        std::string a, b;
        if (piece.valid(row)) {
          AppendCell(piece.View(), row, &a);
          AppendCell(whole.View(), begin + row, &b);
        }
        ASSERT_EQ(a, b) << text;
      }
    }
  }
}

TEST(Expression, TextsOfTheResultOutliveTheExpression) {
  Column out;
  ExpressionScratch scratch;
  {
    auto e = Expression::Compile("concat('constant', ' and ', 'more')", Schema{});
    ASSERT_TRUE(e.ok());
    Batch batch;
    batch.rows = 2;
    e->Evaluate(batch, &scratch, &out);
  }
  EXPECT_EQ(out.strings()[1], "constant and more");
  EXPECT_FALSE(out.valid(2));
}

TEST(Expression, AColumnThatWasNotReadIsNull) {
  Schema schema{{{"x", Type::kDouble}}};
  const ColumnView absent{Type::kDouble, nullptr, nullptr};
  Batch batch{&schema, 5, 0, {&absent, 1}, {}, 0};
  auto e = Expression::Compile("coalesce(x, 4)", schema);
  ExpressionScratch scratch;
  Column out;
  e->Evaluate(batch, &scratch, &out);
  EXPECT_EQ(out.doubles()[4], 4);
}

}  // namespace
}  // namespace slipway
