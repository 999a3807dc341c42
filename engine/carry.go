package engine

// CarryMarks returns the marks by which a commit that changes no row keeps what a table records of itself, given the marks of
// the version that it is made from: that nothing is left to do, and its digest. What is recorded for an older version stays
// behind. See store.Optimization.Marks.
func CarryMarks(marks map[string]int64, from, to int64) map[string]int64 {
	carried := map[string]int64{}
	for _, name := range []string{settledVersion, digestVersion} {
		if v, ok := marks[name]; ok && v == from {
			carried[name] = to
		}
	}
	return carried
}
