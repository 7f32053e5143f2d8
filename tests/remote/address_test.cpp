#include "remote/address.h"

#include <gtest/gtest.h>
#include <holdfast/error.h>

#include <cstdlib>

namespace holdfast {
namespace {

TEST(StoreAddress, IsReadAndWritten) {
  EXPECT_EQ(store_address("http://127.0.0.1:8080").text(), "http://127.0.0.1:8080");
  EXPECT_EQ(store_address("http://node-7.cluster/").text(), "http://node-7.cluster:80");
  EXPECT_EQ(store_address("https://example.org").port, 443);
  EXPECT_EQ(store_address("http://[::1]:9").host, "::1");
  EXPECT_EQ(store_address("http://[::1]:9").text(), "http://[::1]:9");
  EXPECT_TRUE(is_store_address("https://x"));
  EXPECT_FALSE(is_store_address("results/.store"));
}

TEST(StoreAddress, WhatIsNoneIsRefusedWithoutASecretInIt) {
  for (const char* text : {"http://", "http://host:0", "http://host:99999", "http://host:12x", "http://host/path",
                           "http://[::1", "http://a b", "http://host:", "ftp://host", "http://h\r\nX: y", "http://[::1]9"}) {
    EXPECT_THROW(store_address(text), Error) << text;
  }
  EXPECT_THROW(store_address("http://user:secret@host:8080"), Error);
}

TEST(StoreAddress, LoopbackIsThisMachineAlone) {
  for (const char* host : {"127.0.0.1", "localhost", "::1", "127.1.2.3"}) EXPECT_TRUE(is_loopback_host(host)) << host;
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "127.evil.org", "localhost.evil.org", ""}) {
    EXPECT_FALSE(is_loopback_host(host)) << host;
  }
}

TEST(StoreToken, IsTakenOutOfTheEnvironment) {
  ::setenv(kStoreToken, "a-b._~+/=9", 1);
  EXPECT_EQ(take_store_token(), "a-b._~+/=9");
  EXPECT_EQ(std::getenv(kStoreToken), nullptr);
  EXPECT_EQ(take_store_token(), "");
  ::setenv(kStoreToken, "two\nlines", 1);
  try {
    take_store_token();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("lines"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace holdfast
