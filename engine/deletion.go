package engine

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// Deletion chooses the stored rows of f for which all filters hold (see package filter), to be taken out for good: not the
// newest row of each sample only, but all of its rows, deletions among them. Rows of other feature versions stay unless
// allVersions says otherwise. No filter chooses all rows.
func Deletion(snap store.Snapshot, f *feature.Feature, filters []string, allVersions bool) (store.Deletion, error) {
	name := fmt.Sprintf("the table of %q", f.Key())
	conditions, err := bindConditions("filter", name, filters, tableColumns(snap.Schema()))
	if err != nil {
		return store.Deletion{}, fmt.Errorf("delete from %q: %w", f.Key(), err)
	}
	var words []string
	d := store.Deletion{Columns: conditions.columns()}
	if !allVersions {
		d.Where = []store.Equal{{Column: feature.ColFeatureVersion, Value: f.Version()}}
		words = append(words, fmt.Sprintf("%s = '%s'", feature.ColFeatureVersion, f.Version()))
	}
	for _, text := range filters {
		words = append(words, "("+text+")")
	}
	d.Predicate = strings.Join(words, " AND ")
	if len(conditions) > 0 {
		d.Match = func(rec arrow.RecordBatch) ([]bool, error) {
			holds, err := conditions.all(rec)
			if err != nil {
				return nil, err
			}
			chosen := make([]bool, rec.NumRows())
			for i := range chosen {
				chosen[i] = holds.isSet(i)
			}
			return chosen, nil
		}
	}
	return d, nil
}
