package feature

import (
	"fmt"
	"iter"
	"strings"
)

// longestSuggested bounds the work that a wrong name can cause.
const longestSuggested = 100

// didYouMean returns "; did you mean ...?" with the candidate that is most like name, or "" when none is like it.
func didYouMean(name string, candidates iter.Seq[string]) string {
	best, bestDistance := "", 1+max(1, len(name)/3)
	if name == "" || len(name) > longestSuggested {
		return ""
	}
	for c := range candidates {
		if len(c) > longestSuggested {
			continue
		}
		d := distance(name, c, bestDistance)
		if strings.HasSuffix(c, "/"+name) || strings.HasSuffix(name, "/"+c) {
			d = min(d, 1)
		}
		if d < bestDistance || d == bestDistance && best != "" && c < best {
			best, bestDistance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the number of single-byte edits from a to b, or limit+1 when the lengths alone tell that it is more.
func distance(a, b string, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
