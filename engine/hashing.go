package engine

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// ErrHashing reports rows that are versioned in another way than was asked for, or an algorithm that does not exist.
var ErrHashing = errors.New("engine: hashing")

// The names under which a table records how its rows are versioned.
const (
	propertyAlgorithm  = "metaxy.hash_algorithm"
	propertyTruncation = "metaxy.hash_truncation_length"
)

// fullLength is the truncation length that leaves every algorithm's output whole.
const fullLength = 64

// Hashing is how the rows of a store are versioned. The zero value is the whole output of xxh3_64.
type Hashing struct {
	// Algorithm is the hash function; "" means xxh3_64.
	Algorithm Hash
	// TruncationLength is the number of characters that versions are cut to; 0 means that they are not cut.
	TruncationLength int
}

// Append adds the version of input to dst and returns the longer slice.
func (h Hashing) Append(dst, input []byte) []byte {
	start := len(dst)
	dst = h.Algorithm.append(dst, input)
	if h.TruncationLength > 0 && len(dst) > start+h.TruncationLength {
		dst = dst[:start+h.TruncationLength]
	}
	return dst
}

// Sum returns the version of input.
func (h Hashing) Sum(input string) string { return string(h.Append(nil, []byte(input))) }

// String is how the versions are made, for people.
func (h Hashing) String() string {
	h = h.normal()
	if h.TruncationLength == fullLength {
		return string(h.Algorithm) + " in full"
	}
	return fmt.Sprintf("%s cut to %d characters", h.Algorithm, h.TruncationLength)
}

// Properties returns what a table records about its hashing when it is created; see store.Write.
func (h Hashing) Properties() map[string]string {
	h = h.normal()
	return map[string]string{
		propertyAlgorithm:  string(h.Algorithm),
		propertyTruncation: strconv.Itoa(h.TruncationLength),
	}
}

// RecordedHashing returns how a table records that its rows are versioned. It reports false if the table records
// nothing, which is so for those of Metaxy; [DetectHashing] can tell more.
func RecordedHashing(snap store.Snapshot) (Hashing, bool, error) {
	p := snap.Properties()
	name := p[propertyAlgorithm]
	if name == "" {
		return Hashing{}, false, nil
	}
	algorithm, err := ParseHash(name)
	if err != nil {
		return Hashing{}, false, fmt.Errorf("property %s of %s: %w", propertyAlgorithm, snap.URI(), err)
	}
	h := Hashing{Algorithm: algorithm}
	if text := p[propertyTruncation]; text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return Hashing{}, false, fmt.Errorf("%w: property %s of %s is %q; expected a number of characters",
				ErrHashing, propertyTruncation, snap.URI(), text)
		}
		if n < fullLength {
			h.TruncationLength = n
		}
	}
	return h, true, nil
}

// Check returns an error wrapping ErrHashing if the table of the feature records another hashing. A table that
// records none passes; [DetectHashing] can tell more.
func (h Hashing) Check(snap store.Snapshot, key feature.Key) error {
	recorded, ok, err := RecordedHashing(snap)
	if err != nil || !ok {
		return err
	}
	have, want := recorded.normal(), h.normal()
	if have == want {
		return nil
	}
	return fmt.Errorf("%w: the table of %q holds versions made with %s, but %s is configured; set hash_algorithm = %q and "+
		"hash_truncation_length = %d for this store, or use another store",
		ErrHashing, key, have, want, have.Algorithm, have.TruncationLength)
}

// normal spells out the defaults, with 64 for no truncation.
func (h Hashing) normal() Hashing {
	if h.Algorithm == "" {
		h.Algorithm = XXH3
	}
	if h.TruncationLength <= 0 || h.TruncationLength > fullLength {
		h.TruncationLength = fullLength
	}
	return h
}
