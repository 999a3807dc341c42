package engine

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/zeebo/xxh3"
)

// Hash names the function that makes versions of rows. Its values are the names Metaxy uses.
type Hash string

// The functions that rows can be versioned with. The first four are written in decimal, the others in hexadecimal.
const (
	XXHash32 Hash = "xxhash32"
	XXHash64 Hash = "xxhash64"
	XXH3     Hash = "xxh3_64"
	WyHash   Hash = "wyhash"
	SHA256   Hash = "sha256"
	MD5      Hash = "md5"
)

// Hashes returns every function there is.
func Hashes() []Hash { return []Hash{XXHash32, XXHash64, XXH3, WyHash, SHA256, MD5} }

// ParseHash returns the function of that name, or an error wrapping ErrHashing. Metaxy lists farmhash too, but cannot
// compute it; nor can this package.
func ParseHash(name string) (Hash, error) {
	for _, h := range Hashes() {
		if string(h) == name {
			return h, nil
		}
	}
	if name == "farmhash" {
		return "", fmt.Errorf("%w: farmhash is not supported, as in Metaxy on Polars; choose one of %v",
			ErrHashing, Hashes())
	}
	return "", fmt.Errorf("%w: unknown algorithm %q; choose one of %v", ErrHashing, name, Hashes())
}

// append adds the full string form of the hash of input to dst.
func (h Hash) append(dst, input []byte) []byte {
	switch h {
	case XXHash32:
		return appendDecimal(dst, uint64(xxh32(input)))
	case XXHash64:
		return appendDecimal(dst, xxhash.Sum64(input))
	case WyHash:
		return appendDecimal(dst, wyhash(input))
	case SHA256:
		sum := sha256.Sum256(input)
		return hex.AppendEncode(dst, sum[:])
	case MD5:
		sum := md5.Sum(input)
		return hex.AppendEncode(dst, sum[:])
	default:
		return appendDecimal(dst, xxh3.Hash(input))
	}
}
