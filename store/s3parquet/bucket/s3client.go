package bucket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
)

// newClient returns the client that the options and the usual AWS sources describe, whose requests are counted.
func newClient(ctx context.Context, o S3Options, m *meter) (*s3.Client, error) {
	var source *credentialSource // nil until the sources are known
	load := []func(*config.LoadOptions) error{
		config.WithRetryer(newRetryer(func() bool { return source.renew() })),
		config.WithCredentialsCacheOptions(renewEarly),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout })),
		config.WithLogger(logging.Nop{}), // what matters is in the errors
	}
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if o.AccessKeyID != "" {
		load = append(load, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(o.AccessKeyID, o.SecretAccessKey, o.SessionToken)))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		if bundle := os.Getenv("AWS_CA_BUNDLE"); bundle != "" {
			return nil, fmt.Errorf("read AWS configuration (AWS_CA_BUNDLE is %q): %w", bundle, err)
		}
		return nil, fmt.Errorf("read AWS configuration: %w", err)
	}
	if cache, ok := cfg.Credentials.(*aws.CredentialsCache); ok {
		source = &credentialSource{cache: cache}
		cfg.Credentials = source
	}
	client := s3.NewFromConfig(cfg, func(c *s3.Options) {
		if o.Endpoint != "" {
			c.BaseEndpoint = aws.String(o.Endpoint)
		}
		c.HTTPClient = &meteredClient{client: c.HTTPClient, meter: m}
		custom := c.BaseEndpoint != nil
		c.UsePathStyle = custom
		if o.PathStyle != nil {
			c.UsePathStyle = *o.PathStyle
		}
		if c.Region == "" && custom {
			c.Region = "us-east-1"
		}
		// Not every service knows the newer checksums that the SDK adds by itself. Over http the signature covers the
		// body anyway.
		c.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		c.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		c.DisableLogOutputChecksumValidationSkipped = true
	})
	if client.Options().Region == "" {
		return nil, errors.New("no AWS region: set AWS_REGION, or the region of the store")
	}
	return client, checkEndpoint(aws.ToString(client.Options().BaseEndpoint), o.AllowHTTP)
}

// checkEndpoint refuses what is no URL of a service, and to send data in the clear to another machine unasked.
func checkEndpoint(endpoint string, allowHTTP bool) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("endpoint %q is not a URL such as https://minio.example.org:9000", withoutSecrets(endpoint))
	}
	if u.User != nil {
		return fmt.Errorf("endpoint %q must not hold credentials; set them as access key and secret key",
			withoutSecrets(endpoint))
	}
	if set, _ := strconv.ParseBool(os.Getenv("AWS_ALLOW_HTTP")); u.Scheme == "https" || allowHTTP || set {
		return nil
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("endpoint %q has no TLS: use https, or allow http by AWS_ALLOW_HTTP=true", withoutSecrets(endpoint))
}
