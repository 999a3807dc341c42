// Package filter reads the conditions on rows that Metaxy's specs and commands take, and evaluates them on Arrow rows.
//
// The grammar is the part of SQL that Metaxy accepts: NOT (also !), AND, OR and parentheses around comparisons
// (= == != <> < <= > >=), IS [NOT] with a literal, IS [NOT] NULL, ISNULL, NOTNULL, [NOT] IN with literals, and columns
// that are true by themselves (a boolean, or a number that is not zero). Literals are numbers, 'strings', TRUE, FALSE and
// NULL. An identifier in double quotes is a column with any name; a.b is the column named "a.b".
//
// Logic has three values, as in SQL: a comparison with null is neither true nor false, and a row passes only if the
// whole condition is true. Comparing with the literal NULL by = or != asks for null itself.
package filter
