package cli

import (
	"fmt"
	"strconv"
	"strings"
)

// A Tolerance is how many failures are accepted: a count, or a share of all samples. Zero accepts none.
type Tolerance struct {
	// Count is the number of failures that is still accepted; it counts when Percent is 0.
	Count int64
	// Percent is the share of failures, from 0 to 100, that is still accepted; 0 leaves it to Count.
	Percent float64
}

// ParseTolerance reads "N" or "P%".
func ParseTolerance(s string) (Tolerance, error) {
	if share, ok := strings.CutSuffix(s, "%"); ok {
		p, err := strconv.ParseFloat(share, 64)
		if err != nil || !(p >= 0 && p <= 100) {
			return Tolerance{}, fmt.Errorf("%q is not a share from 0%% to 100%%", s)
		}
		return Tolerance{Percent: p}, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return Tolerance{}, fmt.Errorf("%q is neither a count such as 10 nor a share such as 5%%", s)
	}
	return Tolerance{Count: n}, nil
}

// Exceeded reports whether so many failures of so many samples are too many.
func (t Tolerance) Exceeded(failed, samples int64) bool {
	if t.Percent > 0 {
		return float64(failed)*100 > t.Percent*float64(samples)
	}
	return failed > t.Count
}

// String is the form that ParseTolerance reads.
func (t Tolerance) String() string {
	if t.Percent > 0 {
		return strconv.FormatFloat(t.Percent, 'g', -1, 64) + "%"
	}
	return strconv.FormatInt(t.Count, 10)
}

// Set implements the flag's value.
func (t *Tolerance) Set(s string) (err error) {
	*t, err = ParseTolerance(s)
	return err
}

// Type names the value in help.
func (t *Tolerance) Type() string { return "N|P%" }
