// SHMQ_SCHEMA and shmq::schema in C++: in a namespace, with an enum class, of numbers and arrays.
#include "cpp_check.hpp"

namespace market {
enum class side : std::uint8_t { buy = 1, sell = 2 };
SHMQ_SCHEMA_ENUM(side, u8, "Buy=1, Sell=2");
struct leg {
    std::int64_t id;
    char venue[8];
};
SHMQ_SCHEMA(leg, (i64, id), (u8, venue, 8));
struct order {
    double price;
    leg legs[2];
    side bid;
    bool live;
    std::uint8_t unused[6];
};
SHMQ_SCHEMA(order, (f64, price), (leg, legs, 2), (side, bid), (bool, live), (u8, unused, 6));
} // namespace market

/// A type whose text comes from elsewhere.
struct raw {
    std::uint32_t words[4];
};
template <> struct shmq::schema<raw> {
    static const char *text() { return "[u32; 4]"; }
};

int main() {
    begin();
    CHECK(shmq::schema<market::order>::text() ==
          std::string("{price@0: f64, legs@8: [{id@0: i64, venue@8: [u8; 8]}; 2], bid@40: enum u8 {Buy=1, Sell=2}, live@41: bool, "
                      "unused@42: [u8; 6]}"));
    CHECK(shmq::schema<double>::text() == std::string("f64") && shmq::schema<long long>::text() == std::string("i64"));
    CHECK(shmq::schema<char>::text() == std::string("u8") && shmq::schema<std::byte>::text() == std::string("u8"));
    CHECK((shmq::schema<std::array<market::leg, 2>>::text()) == std::string("[{id@0: i64, venue@8: [u8; 8]}; 2]"));
    auto orders = shmq::queue<market::order>::create("", 2);
    orders.put({1.5, {{1, "a"}, {2, "b"}}, market::side::sell, true, {}});
    CHECK(orders.get().bid == market::side::sell);
    auto raws = shmq::queue<raw>::create("", 2);
    raws.put({{1, 2, 3, 4}});
    CHECK(raws.get().words[3] == 4);
}
