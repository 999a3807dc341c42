package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// The references of located rows lead to these rows.
func TestLocate(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"))
	s.root("a", "1 p q", "2 p q", "3 p q")
	s.root("a", "2 new q", "4 p q")
	s.delete("a", "3")
	snap, err := s.store.Snapshot(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for rows, err := range Locate(context.Background(), snap, s.feature("a"), []string{"id"}) {
		if err != nil {
			t.Fatal(err)
		}
		there, err := snap.Fetch(context.Background(), rows.Refs, []string{"id", "metaxy_provenance_by_field"})
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range goRows(there) {
			if row["id"] != goRows(rows.RecordBatch)[i]["id"] {
				t.Errorf("reference %d leads to %v", rows.Refs[i], row)
			}
			found[fmt.Sprint(row["id"], row["metaxy_provenance_by_field"].(refRow)["x"])] = true
		}
	}
	if len(found) != 3 || !found["1p"] || !found["2new"] || !found["4p"] {
		t.Errorf("found %v", found)
	}
	for _, err := range Locate(context.Background(), snap, s.feature("a"), []string{"nope"}) {
		if !errors.Is(err, ErrPlan) {
			t.Errorf("error %v, want ErrPlan", err)
		}
	}
}
