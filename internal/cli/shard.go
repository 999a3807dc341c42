package cli

import (
	"fmt"
	"strconv"
	"strings"
)

// A Shard is one of several equal parts of an increment. Zero is the whole.
type Shard struct {
	// Index is the part's number, from 0.
	Index int
	// Count is the number of parts; 0 means one.
	Count int
}

// ParseShard reads "i/n", where i counts from 0.
func ParseShard(s string) (Shard, error) {
	left, right, ok := strings.Cut(s, "/")
	i, errI := strconv.Atoi(left)
	n, errN := strconv.Atoi(right)
	if !ok || errI != nil || errN != nil || n < 1 || i < 0 || i >= n {
		return Shard{}, fmt.Errorf("%q is not i/n with 0 <= i < n, such as 0/4", s)
	}
	return Shard{Index: i, Count: n}, nil
}

// String is the form that ParseShard reads; "" for the whole.
func (s Shard) String() string {
	if s.Count == 0 {
		return ""
	}
	return strconv.Itoa(s.Index) + "/" + strconv.Itoa(s.Count)
}

// Set implements the flag's value.
func (s *Shard) Set(text string) (err error) {
	*s, err = ParseShard(text)
	return err
}

// Type names the value in help.
func (s *Shard) Type() string { return "i/n" }
