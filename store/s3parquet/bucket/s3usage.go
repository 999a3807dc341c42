package bucket

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Usage implements Metered.
func (b *S3) Usage() Usage { return b.meter.usage() }

// A meteredClient counts the requests that go over the network. It stands below the retries of the SDK.
type meteredClient struct {
	client s3.HTTPClient
	meter  *meter
}

// Do implements s3.HTTPClient.
func (c *meteredClient) Do(r *http.Request) (*http.Response, error) {
	read := c.count(r)
	answer, err := c.client.Do(r)
	if err == nil && read && answer.StatusCode < http.StatusMultipleChoices {
		answer.Body = &countedBody{answer.Body, &c.meter.bytesRead}
	}
	return answer, err
}

// count counts a request by what it does, and reports whether its answer is an object.
func (c *meteredClient) count(r *http.Request) (read bool) {
	switch {
	case r.Method == http.MethodDelete:
		c.meter.deletes.Add(1)
	case r.Method == http.MethodGet && (r.URL.Query().Has("list-type") || r.URL.Query().Has("uploads")):
		c.meter.lists.Add(1)
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		c.meter.reads.Add(1)
		return true
	default:
		c.meter.writes.Add(1)
		c.meter.bytesWritten.Add(max(r.ContentLength, 0))
	}
	return false
}
