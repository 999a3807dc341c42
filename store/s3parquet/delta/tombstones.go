package delta

import (
	"fmt"
	"maps"
	"sync"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A checkpoint keeps for a week what was removed, so that nobody deletes the files from under readers of older versions:
// tombstones, of which a merge of many small files leaves thousands. Those who read rows do not ask for them. Our
// checkpoints hold them behind everything else, and they are decoded when somebody asks.

// removesKey is the entry in the footer of a checkpoint that holds the number of the first row from which on there are
// tombstones and nothing else.
const removesKey = "metaxy-pipes.removes"

// Tombstones returns the removed files that a checkpoint of this version has to keep, by name.
func (s *Snapshot) Tombstones() (map[string]*Remove, error) {
	if s.older == nil {
		return s.removed, nil
	}
	older, err := s.older()
	if err != nil {
		return nil, err
	}
	all := maps.Clone(older)
	maps.Copy(all, s.removed)
	for _, f := range s.Files { // one that was added again
		delete(all, f.Name)
	}
	return all, nil
}

// laterRemoves returns the tombstones of a checkpoint once they are asked for.
func laterRemoves(uri string, body []byte) func() (map[string]*Remove, error) {
	return sync.OnceValues(func() (map[string]*Remove, error) {
		removes := map[string]*Remove{}
		_, err := decodeCheckpoint(body, tombstones, func(a *action) error {
			if a.Remove == nil {
				return fmt.Errorf("%w: it says that there are removes alone where there is another action", store.ErrCorrupt)
			}
			name, err := decodePath(a.Remove.Path)
			removes[name] = a.Remove
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", uri, err)
		}
		return removes, nil
	})
}
