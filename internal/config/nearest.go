package config

// Nearest returns the candidate that a name was probably meant to be; "" when none is near.
func Nearest(name string, candidates []string) string {
	best, least := "", min(max(2, len(name)/3)+1, len(name))
	for _, c := range candidates {
		if d := distance([]rune(name), []rune(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is the number of characters to insert, delete or replace that makes b of a.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, ca := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, cb := range b {
			cost := diagonal
			if ca != cb {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
