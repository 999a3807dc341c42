package store

import (
	"math"
	"slices"
	"testing"
)

func TestWithin(t *testing.T) {
	t.Parallel()
	w := &Within{Ranges: []Range{{Min: "b", Max: "b"}, {Min: "d", Max: "f"}, {Min: "x", Open: true}}}
	for bounds, want := range map[[2]string]bool{
		{"a", "a"}: false, {"a", "b"}: true, {"b", "b"}: true, {"ba", "c"}: false, {"c", "e"}: true, {"e", "e"}: true, {"f", "g"}: true,
		{"fa", "w"}: false, {"g", "x"}: true, {"z", "zz"}: true, {"", "zzz"}: true, {"", ""}: false,
	} {
		if got := w.Touches(bounds[0], bounds[1]); got != want {
			t.Errorf("values from %q to %q: %v", bounds[0], bounds[1], got)
		}
	}
	if (&Within{}).Has("a") {
		t.Error("no range has a value")
	}
}

func TestOrderedInt(t *testing.T) {
	t.Parallel()
	var texts []string
	for _, v := range []int64{math.MinInt64, -256, -1, 0, 1, 255, 256, math.MaxInt64} {
		texts = append(texts, OrderedInt(v))
	}
	if !slices.IsSorted(texts) {
		t.Errorf("%q is not in order", texts)
	}
}
