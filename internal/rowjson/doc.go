// Package rowjson is the exact JSON form of Arrow rows: one object a row, members in column order.
//
// Writing: integers keep all their digits; a double always has a fraction or an exponent; NaN and the infinities are
// the strings "NaN", "Infinity" and "-Infinity"; times are RFC 3339 in UTC with six digits; bytes are base64; what has
// no value is null and never left out. No line separator appears inside a row, also not one of Unicode's.
//
// Reading: a column that exists keeps its type, and what does not fit it is an error. A new column becomes int64 if all
// its values are integers, float64 if all are numbers, boolean if all are booleans, and a string otherwise; a column
// without any value is left out. [Shape] finds the types in a first pass, [Builder] makes the columns in a second.
package rowjson
