-- Revenue and profit by month of the order
SELECT d.year,
       d.month,
       SUM(f.discounted_price * f.quantity) AS revenue,
       SUM(f.profit * f.quantity) AS profit
FROM fact_sales f
JOIN dim_date d ON d.date_id = f.order_date_id
GROUP BY d.year, d.month
ORDER BY d.year, d.month
